"""Pages of the options of all commands, read from the help that the commands print."""

import contextlib
import io
import os
import re
from collections.abc import Iterable, Iterator

from kerasrec import cli

HELP_COLUMNS = 110  # one column of boxes; on a wider terminal the help has two


def commands_page(system: str, steps: Iterable[str]) -> str:
    """The options of every step of a system."""
    description = cli.DESCRIPTIONS[system]
    parts = [f"# kerasrec {system}", f"{description[0].upper()}{description[1:]}."]
    for step in steps:
        words = [system] if step == system else [system, step]
        parts.append(command_section(" ".join(["kerasrec", *words]), command_help(words)))
    return "\n\n".join(parts) + "\n"


def command_help(words: list[str]) -> str:
    """What a command prints for `--help`."""
    printed = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")  # tyro draws boxes for this encoding
    columns = os.environ.get("COLUMNS")
    os.environ["COLUMNS"] = str(HELP_COLUMNS)
    try:
        with contextlib.redirect_stdout(printed), contextlib.suppress(SystemExit):
            cli.main([*words, "--help"])
    finally:
        del os.environ["COLUMNS"]
        if columns is not None:
            os.environ["COLUMNS"] = columns
    printed.seek(0)
    return printed.read()


def command_section(command: str, text: str) -> str:
    """A command's help as Markdown: its usage, and a table for each group of options."""
    usage, *boxes = text.split("╭")
    usage, _, description = usage.strip().partition("\n\n")
    parts = [f"## {command}", " ".join(description.split()), f"```text\n{' '.join(usage.split())}\n```"]
    for box in boxes:
        parts += option_group(box)
    return "\n\n".join(parts)


def option_group(box: str) -> Iterator[str]:
    """A box of the help as a title, a description and a table."""
    title, *lines = box.splitlines()
    title = title.strip("─╮ ")
    lines = [line[2:].rstrip("│ ") for line in lines if line.startswith("│")]
    rule = next((number for number, line in enumerate(lines) if line.startswith("──")), None)
    if title not in ("options", "positional arguments"):
        yield f"**{title.removesuffix(' options').capitalize()}.** {' '.join(lines[: rule or 0])}".rstrip()
    kind = "argument" if title == "positional arguments" else "option"
    rows = [f"| {kind} | meaning | default |", "|---|---|---|"]
    for name, meaning in options(lines[rule + 1 :] if rule is not None else lines):
        if name != "-h, --help":
            rows.append(option_row(name, meaning))
    if len(rows) > 2:
        yield "\n".join(rows)


def options(lines: list[str]) -> Iterator[tuple[str, str]]:
    """The name, with its type, and the text of each option in a box."""
    name, texts = None, []
    for line in lines:
        if line and not line.startswith(" "):
            if name:
                yield name, " ".join(texts)
            name, _, text = (part.strip() for part in re.match(r"(\S.*?)(\s{2,}|$)(.*)", line).groups())
            texts = [text] if text else []
        else:
            texts.append(line.strip())
    if name:
        yield name, " ".join(texts)


def option_row(name: str, meaning: str) -> str:
    """A row of a table of options."""
    default = ""
    if found := re.fullmatch(r"(.*)\((default: .*|required)\)", meaning):
        meaning, default = found.groups()
        if default != "required":
            default = f"`{default.removeprefix('default: ')}`"
    name, _, kind = name.replace("{None}|", "").partition(" ")
    cells = (f"`{name}` `{kind}`" if kind else f"`{name}`", meaning.strip(), default)
    return "| " + " | ".join(map(_without_pipes, cells)) + " |"


def _without_pipes(text: str) -> str:
    """A text for a cell of a table: `|` is escaped, except in code, where it is allowed."""
    outside_code = re.compile(r"(`[^`]*`)|\|")
    return outside_code.sub(lambda found: found[1] or r"\|", text)
