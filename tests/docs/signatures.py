"""The tables and the request bodies of docs/reference/signatures.md, to run against an export."""

import json
import re
from pathlib import Path

from kerasrec.backend import tf

PAGE = Path(__file__).parents[2] / "docs/reference/signatures.md"
TENSORS = re.compile(r"((?:`\w+`(?:, | and )?)+) (string|int32|float32|bool) \[([^\]]*)\]")


def run_documented_bodies(system, exported):
    """Run the request bodies of the page, and compare inputs and outputs with the names, dtypes and shapes of a table.

    Args:
        system: The heading of the system's table.
        exported: A loaded SavedModel.

    Returns:
        Names of the signatures that were run.
    """
    page = PAGE.read_text(encoding="utf-8")
    bodies = map(json.loads, re.findall(r"^```json\n(.*?)^```$", page, re.M | re.S))
    requests = {body["signature_name"]: body["inputs"] for body in bodies}
    requests["compare"] = requests["classify"]  # the table says that its inputs are the same
    [section] = re.findall(rf"^## {re.escape(system)}\n(.*?)(?=^## |\Z)", page, re.M | re.S)
    run = set()
    for name, inputs, outputs in re.findall(r"^\| `(\w+)`.*? \| (.*?) \| (.*?) \|$", section, re.M):
        if name in requests and name in exported.signatures:
            signature = exported.signatures[name]
            specs = signature.structured_input_signature[1]
            assert specs.keys() == requests[name].keys()
            given = {key: tf.constant(values, specs[key].dtype) for key, values in requests[name].items()}
            answer = signature(**given)
            sizes = {}
            if inputs != "the same":
                _compare(given, inputs, sizes)
            _compare(answer, outputs, sizes)
            run.add(name)
    return run


def _compare(tensors, text, sizes):
    """Compare tensors with the text of a cell; `sizes` has the numbers that letters such as B stand for."""
    cell = {
        name: (dtype, dimensions.split(", "))
        for names, dtype, dimensions in TENSORS.findall(text)
        for name in re.findall(r"\w+", names.replace(" and ", " "))
    }
    assert tensors.keys() == cell.keys()
    for name, (dtype, letters) in cell.items():
        shape = tensors[name].shape.as_list()
        assert tensors[name].dtype.name == dtype and len(shape) == len(letters), name
        assert shape == [sizes.setdefault(letter, size) for letter, size in zip(letters, shape, strict=True)], name
