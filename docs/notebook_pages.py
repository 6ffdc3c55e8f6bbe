"""Pages of the notebooks: their texts, their code and, after `docs/run_notebooks.py`, their outputs."""

import re
from collections.abc import Iterator
from pathlib import Path

import nbformat

EXECUTED = Path(__file__).parent / "executed"


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
    """The outputs of a cell as Markdown."""
    for output in outputs:
        data = output.get("data", {})
        if "image/png" in data:
            yield f"![](data:image/png;base64,{data['image/png'].strip()})"
        elif "text/html" in data:
            html = re.sub(r"<style.*?</style>", "", data["text/html"], flags=re.DOTALL)
            yield f'<div class="output">{"".join(line.strip() for line in html.splitlines())}</div>'
        elif text := output.get("text") or data.get("text/plain"):
            yield f'```text title="Output"\n{text.rstrip()}\n```'
