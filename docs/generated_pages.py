"""Pages that mkdocs makes from other files: notebooks, help of commands, Python modules, changelog, contributing."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from command_pages import commands_page  # mkdocs adds this folder to the path
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from notebook_pages import notebook_page

import kerasrec
from kerasrec import cli

ROOT = Path(__file__).parents[1]


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
    yield "reference/python/interface.md", interface_page()
    packages = sorted(path.parent for path in (ROOT / "kerasrec").glob("*/__init__.py"))
    for package in packages:
        yield f"reference/python/{package.name}.md", modules_page(f"kerasrec.{package.name}", package.rglob("*.py"))
    yield "reference/python/top-level.md", modules_page("Top level", (ROOT / "kerasrec").glob("*.py"))


def interface_page() -> str:
    """The public classes and functions of `kerasrec`."""
    parts = [
        "# Python interface",
        "`import kerasrec` has these names. It takes less than 0.1 s: they are imported on first use.",
    ]
    for name, module in kerasrec._PUBLIC.items():
        if (ROOT / f"{module.replace('.', '/')}.py").exists():
            options = "    options:\n      show_root_full_path: false\n      inherited_members: true"
            parts.append(f"::: {module}.{name}\n{options}")
    return "\n\n".join(parts) + "\n"


def modules_page(title: str, paths: Iterable[Path]) -> str:
    """The public names of the modules of a package; empty modules are left out."""
    modules = [".".join(path.relative_to(ROOT).with_suffix("").parts) for path in sorted(paths) if path.stat().st_size]
    modules = [module.removesuffix(".__init__") for module in modules]
    return "\n\n".join([f"# {title}", *(f"::: {module}" for module in modules)]) + "\n"
