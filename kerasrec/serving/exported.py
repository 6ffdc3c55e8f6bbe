"""The result of an export; imports no TensorFlow."""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Exported:
    """A version of an exported model; functions that take a path take it as well.

    Attributes:
        path: The version's folder.
        signatures: Names of the signatures.
        needs: A package that a program needs to load the model, besides TensorFlow; empty for none.

    Example:
        >>> exported = Exported(Path("export/shop/1"), ("serving_default", "recommend"))
        >>> print(exported)
        export/shop/1: a SavedModel with the signatures serving_default, recommend
    """

    path: Path
    signatures: tuple[str, ...]
    needs: str = ""

    @classmethod
    def text_model(cls, path: Path, signatures: Iterable[str]) -> "Exported":
        """A model that tokenises texts in the graph."""
        return cls(path, tuple(signatures), "tensorflow-text")

    def __fspath__(self) -> str:
        return os.fspath(self.path)

    def __str__(self) -> str:
        needs = f"; it needs {self.needs}" if self.needs else ""
        return f"{self.path}: a SavedModel with the signatures {', '.join(self.signatures)}{needs}"
