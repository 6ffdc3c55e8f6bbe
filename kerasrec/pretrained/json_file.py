"""Read the JSON files of a checkpoint."""

import json
from pathlib import Path

from kerasrec.errors import KerasrecError

_MOST_BYTES = 100_000_000  # a tokenizer.json of 250,000 tokens takes 17 MB


def read_object(path: Path) -> dict:
    """The object in a JSON file.

    Raises:
        KerasrecError: the file cannot be read, is too large, is not JSON, or its content is not an object.
    """
    try:
        with path.open("rb") as file:
            content = file.read(_MOST_BYTES + 1)
    except OSError as error:
        raise KerasrecError(f"{path} cannot be read ({error.strerror}): put the checkpoint's own there") from None
    if len(content) > _MOST_BYTES:
        raise KerasrecError(f"{path} has over {_MOST_BYTES:,} bytes: put the checkpoint's own there")
    try:
        value = json.loads(content.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise KerasrecError(f"{path} is not JSON ({error}): download it again") from None
    if not isinstance(value, dict):
        raise KerasrecError(f"{path} is not a JSON object of names and values: give the checkpoint's own")
    return value
