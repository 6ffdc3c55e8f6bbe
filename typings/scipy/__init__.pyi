# SciPy has no types, and those inferred from its code are wrong for sparse arrays; all of it is Any.
from typing import Any

def __getattr__(name: str) -> Any: ...
