# pyarrow makes most of these functions when it is imported; all of them are Any.
from typing import Any

def __getattr__(name: str) -> Any: ...
