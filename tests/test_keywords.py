import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pytest

from kerasrec.errors import KerasrecError
from kerasrec.keywords import keyword_names, keywords_of, require_known, settings_of


@dataclass(frozen=True)
class Shape:
    size: int = 4
    kind: Literal["a", "b"] = "a"


@dataclass(frozen=True)
class Step:
    name: str
    epochs: int = 1
    rate: float = 0.1
    file: Path | None = None
    words: tuple[str, ...] = ()
    fast: bool = False
    shape: Shape = Shape()


def test_names_are_those_of_the_settings_inside():
    assert keyword_names(Step) == {"name", "epochs", "rate", "file", "words", "fast", "size", "kind"}
    assert keyword_names(Step, without=["name", "shape"]) == {"epochs", "rate", "file", "words", "fast"}


def test_values_reach_their_settings():
    given = {"size": 8, "file": "x/y", "words": ["a", "b"], "rate": 1, "of_another_step": 3, "name": "ignored"}
    assert settings_of(Step, given, name="run") == Step("run", 1, 1, Path("x/y"), ("a", "b"), False, Shape(8))
    assert settings_of(Step, {}, name="run") == Step("run")


def test_stored_settings_become_keywords_again():
    step = Step("run", 3, 0.5, Path("x/y"), ("a",), True, Shape(8, "b"))
    stored = json.loads(json.dumps(dataclasses.asdict(step) | {"old": 1}, default=str))
    keywords = keywords_of(stored, Step, without=["name"])
    assert "name" not in keywords and "old" not in keywords
    assert settings_of(Step, keywords, name="run") == step


@pytest.mark.parametrize(
    ("keyword", "value", "allowed"),
    [
        ("size", "8", "int"),
        ("size", True, "int"),
        ("epochs", 2.5, "int"),
        ("fast", 1, "bool"),
        ("kind", "c", "one of a, b"),
        ("words", "ab", r"tuple\[str, ...\]"),
        ("file", 3, "pathlib.Path | None|Path"),
    ],
)
def test_values_of_a_wrong_type_are_refused(keyword, value, allowed):
    with pytest.raises(KerasrecError, match=f"^{keyword} is .*; it must be .*({allowed})"):
        settings_of(Step, {keyword: value}, name="run")


def test_unknown_names_are_refused():
    require_known(["size"], keyword_names(Step), "Model")
    with pytest.raises(KerasrecError, match="^Model has no setting siz; did you mean size"):
        require_known(["size", "siz"], keyword_names(Step), "Model")
    with pytest.raises(KerasrecError, match="^Model has no setting qqq; its settings are epochs, fast"):
        require_known(["qqq"], keyword_names(Step), "Model")


def test_damaged_settings_inside_are_refused():
    with pytest.raises(KerasrecError, match="shape is '4'; it must hold settings by name"):
        keywords_of({"name": "a", "shape": "4"}, Step)
