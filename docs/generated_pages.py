"""Pages that mkdocs makes from other files: notebooks, help of commands, Python modules, changelog, contributing."""

import contextlib
import io
import os
import re
import textwrap
from collections.abc import Iterator
from pathlib import Path

import nbformat
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

from kerasrec import cli

ROOT = Path(__file__).parents[1]
HELP_COLUMNS = 110  # one column of boxes; tyro sets two beside each other on a wider terminal
OPTION_COLUMN = 24  # in the help, the text of an option starts at this column at the latest


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the generated pages to those of the docs folder."""
    for path, content in generated_pages():
        files.append(File.generated(config, path, content=content))
    return files


def generated_pages() -> Iterator[tuple[str, str]]:
    """The path and the Markdown text of each generated page."""
    yield "changelog.md", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    contributing = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    yield "contributing.md", contributing.replace("](docs/", "](")
    for notebook in sorted((ROOT / "notebooks").glob("*.ipynb")):
        yield f"tutorials/{notebook.stem}.md", notebook_page(notebook)
    for system, steps in cli.SYSTEMS.items():
        yield f"reference/commands/{system}.md", commands_page(system, steps)
    packages = sorted(path.parent for path in (ROOT / "kerasrec").glob("*/__init__.py"))
    for package in packages:
        yield f"reference/python/{package.name}.md", modules_page(f"kerasrec.{package.name}", package.rglob("*.py"))
    yield "reference/python/top-level.md", modules_page("Top level", (ROOT / "kerasrec").glob("*.py"))


def notebook_page(path: Path) -> str:
    """The texts and the code of a notebook; notebooks are stored without outputs."""
    title, *cells = nbformat.read(path, as_version=4).cells
    note = f"!!! note\n    This page is `notebooks/{path.name}`; open it in Jupyter to run it and to see its outputs."
    blocks = [title.source, note]
    for cell in cells:
        blocks.append(cell.source if cell.cell_type == "markdown" else f"```python\n{cell.source}\n```")
    return "\n\n".join(blocks) + "\n"


def commands_page(system: str, steps: dict) -> str:
    """The options of every step of a system, read from the help that its commands print."""
    parts = [f"# kerasrec {system}", f"{_sentence(cli.DESCRIPTIONS[system])}"]
    for step in steps:
        words = [system] if step == system else [system, step]
        parts.append(command_section(" ".join(["kerasrec", *words]), command_help(words)))
    return "\n\n".join(parts) + "\n"


def command_help(words: list[str]) -> str:
    """What a command prints for `--help`."""
    printed = io.StringIO()
    columns = os.environ.get("COLUMNS")
    os.environ["COLUMNS"] = str(HELP_COLUMNS)
    try:
        with contextlib.redirect_stdout(printed), contextlib.suppress(SystemExit):
            cli.main([*words, "--help"])
    finally:
        del os.environ["COLUMNS"]
        if columns is not None:
            os.environ["COLUMNS"] = columns
    return printed.getvalue()


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
    rows = [
        "| argument | meaning | default |" if title.startswith("pos") else "| option | meaning | default |",
        "|---|---|---|",
    ]
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
    meaning, _, ending = (
        meaning.rpartition("(") if re.search(r"\((default: .*|required)\)$", meaning) else (meaning, "", "")
    )
    default = ending.removesuffix(")").removeprefix("default: ")
    name = name.replace("{None}|", "")
    cells = (f"`{name}`", meaning.strip(), default if default == "required" else f"`{default}`" if default else "")
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def modules_page(title: str, paths: Iterator[Path]) -> str:
    """The public names of the modules of a package."""
    modules = [".".join(path.relative_to(ROOT).with_suffix("").parts) for path in sorted(paths)]
    modules = [module.removesuffix(".__init__") for module in modules]
    return "\n\n".join([f"# {title}", *(f"::: {module}" for module in modules)]) + "\n"


def _sentence(text: str) -> str:
    return textwrap.fill(text[0].upper() + text[1:] + ".", 1000)
