import dataclasses

import pytest

from kerasrec.anime import run as anime_trained
from kerasrec.anime import settings as anime
from kerasrec.colarec import item_recall
from kerasrec.colarec import lightgcn as graph
from kerasrec.colarec import settings as colarec
from kerasrec.colarec import train as colarec_train
from kerasrec.errors import KerasrecError
from kerasrec.recall import run as recall_model
from kerasrec.recall import settings as recall
from kerasrec.sentence_pair import run as sentence_pair_trained
from kerasrec.sentence_pair import settings as sentence_pair
from kerasrec.siamese import run as siamese_trained
from kerasrec.siamese import settings as siamese
from kerasrec.training.contract import Contract

CONTRACTS = {
    "recall": (recall_model.CONTRACT, recall.Train),
    "siamese": (siamese_trained.CONTRACT, siamese.Train),
    "sentence-pair": (sentence_pair_trained.CONTRACT, sentence_pair.Train),
    "anime": (anime_trained.CONTRACT, anime.Train),
    "colarec": (colarec_train.CONTRACT, colarec.Train),
    "lightgcn": (graph.CONTRACT, colarec.LightGcn),
    "item-recall": (item_recall.CONTRACT, colarec.ItemRecall),
}


def leaves(kind, prefix=""):
    """The paths of all settings of a dataclass, by their types and defaults."""
    for field in dataclasses.fields(kind):
        if dataclasses.is_dataclass(field.default):
            yield from leaves(type(field.default), f"{prefix}{field.name}.")
        else:
            yield f"{prefix}{field.name}"


@pytest.mark.parametrize("system", CONTRACTS)
def test_every_setting_of_a_training_is_in_one_group(system):
    contract, settings = CONTRACTS[system]
    paths = list(leaves(settings))
    for path in paths:
        contract.group(path)  # every new setting must be in a group
    names = [*contract.fixed, *contract.announced, *contract.free]
    assert len(names) == len(set(names))
    known = {path[: len(name)] for path in paths for name in names if f"{path}.".startswith(f"{name}.")}
    assert known == set(names), "a group names a setting that does not exist"


CONTRACT = Contract(fixed=("losses", "seed"), announced=("epochs", "devices.precision"), free=("devices", "name"))
BEFORE = {
    "losses": {"scale": 30.0},
    "seed": 1,
    "epochs": 5,
    "devices": {"precision": "float32", "gpu": None},
    "name": "a",
}


@pytest.mark.parametrize(
    ("now", "message"),
    [
        ({"losses": {"scale": 5.0}}, "scale is 5.0 and the run in .* began with 30.0: give the same value"),
        ({"seed": 2}, "seed is 2 and the run in .* began with 1"),
    ],
)
def test_changed_fixed_settings_are_refused_by_name(tmp_path, now, message):
    with pytest.raises(KerasrecError, match=message):
        CONTRACT.resume(tmp_path, BEFORE, BEFORE | now)


def test_announced_changes_are_logged(tmp_path, logged):
    now = BEFORE | {"epochs": 9, "devices": {"precision": "mixed_bfloat16", "gpu": 1}, "name": "b"}
    assert CONTRACT.resume(tmp_path, BEFORE, now) == ["epochs", "precision"]
    assert logged().splitlines() == [
        f"the run in {tmp_path} resumes although epochs was 5 and is 9",
        f"the run in {tmp_path} resumes although precision was 'float32' and is 'mixed_bfloat16'",
    ]


def test_the_same_settings_log_nothing(tmp_path, logged):
    assert CONTRACT.resume(tmp_path, BEFORE, BEFORE) == [] and logged() == ""


def test_a_setting_that_an_earlier_version_did_not_have(tmp_path):
    assert CONTRACT.resume(tmp_path, {"seed": 1}, BEFORE) == []
