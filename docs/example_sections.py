"""Docstrings' `Example:` sections become the `Examples:` that griffe shows as code."""

import re

import griffe


class ExampleSections(griffe.Extension):
    """Renames the section of each docstring."""

    def on_object(self, *, obj: griffe.Object, **kwargs: object) -> None:
        """Change the docstring of one module, class, function or attribute."""
        if obj.docstring:
            obj.docstring.value = re.sub(r"^Example:$", "Examples:", obj.docstring.value, flags=re.MULTILINE)
