# bert4keras has no types, and kerasrec replaces parts of it; all of it is Any.
from typing import Any

def __getattr__(name: str) -> Any: ...
