# The stubs that the checker brings know a part of TensorFlow and none of tf-keras; all of it is Any instead.
from typing import Any

def __getattr__(name: str) -> Any: ...
