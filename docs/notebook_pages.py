"""Pages of the notebooks: their texts, their code and, after `docs/run_notebooks.py`, their outputs."""

import itertools
import re
from collections.abc import Iterator
from pathlib import Path

import nbformat

EXECUTED = Path(__file__).parent / "executed"
MOST_LINES = 12
"""Longest text that is shown without a click."""


def notebook_page(path: Path) -> str:
    """A notebook as Markdown; notebooks are stored without outputs, and copies with outputs lie in `docs/executed/`."""
    title, *cells = _with_outputs(path).cells
    note = f"!!! note\n    This page is `notebooks/{path.name}`; open it in Jupyter to run it yourself."
    blocks = [title.source, note]
    for cell in cells:
        if cell.cell_type == "markdown":
            blocks.append(cell.source)
        else:
            blocks += [f"```python\n{cell.source}\n```", *_shown(cell.get("outputs", []))]
    return "\n\n".join(blocks) + "\n"


def _with_outputs(path: Path) -> nbformat.NotebookNode:
    """The copy with outputs if there is one of the same cells; otherwise the notebook."""
    notebook = nbformat.read(path, as_version=4)
    if not (EXECUTED / path.name).exists():
        return notebook
    executed = nbformat.read(EXECUTED / path.name, as_version=4)
    is_current = [cell.source for cell in executed.cells] == [cell.source for cell in notebook.cells]
    return executed if is_current else notebook


def _shown(outputs: list[nbformat.NotebookNode]) -> Iterator[str]:
    """The outputs of a cell as Markdown; printed lines that follow each other are one block."""
    for is_printed, group in itertools.groupby(outputs, key=lambda output: output.output_type == "stream"):
        if is_printed:
            printed = "".join(output.text for output in group if output.name == "stdout")
            yield from [_text(printed)] if printed.strip() else []
        else:
            yield from map(_displayed, group)


def _displayed(output: nbformat.NotebookNode) -> str:
    data = output.get("data", {})
    if "image/png" in data:
        return f"![](data:image/png;base64,{data['image/png'].strip()})"
    if "text/html" in data:
        html = re.sub(r"<style.*?</style>", "", data["text/html"], flags=re.DOTALL)
        return f'<div class="output">{"".join(line.strip() for line in html.splitlines())}</div>'
    return _text(data.get("text/plain", ""))


def _text(text: str) -> str:
    """Lines of text; more than a few are folded."""
    lines = text.rstrip().splitlines()
    if len(lines) <= MOST_LINES:
        return "\n".join(["```text", *lines, "```"])
    block = ["```text", *lines, "```"]
    return "\n".join([f'??? quote "Output, {len(lines)} lines"', "", *(f"    {line}" for line in block)])
