import shlex
from pathlib import Path

import pytest

from kerasrec import cli
from kerasrec.colarec import settings as colarec
from kerasrec.command_text import command_line
from kerasrec.data.items.settings import ExampleSettings
from kerasrec.recall import settings as recall
from kerasrec.sentence_pair import settings as sentence_pair
from kerasrec.siamese import settings as siamese
from kerasrec.workspace.run_folders import RunFolders

GIVEN = [
    (
        "recall vocab",
        recall.Vocab("all", RunFolders(Path("a b"), Path("$HOME"), Path("it's")), init_from=Path("v.parquet")),
    ),
    (
        "recall examples",
        recall.Examples("part-", None, 0, 3, examples=ExampleSettings(masking="dynamic", dupe_factor=2)),
    ),
    ("recall evaluate", recall.Evaluate("all", baselines=False, keep_seen=True)),
    ("recall recommend", recall.Recommend("all", items=("-1", "a b", "二"))),
    ("siamese prepare", siamese.Prepare("shop", Path("train"), Path("vocab"), Path("x"), lower_case=False)),
    ("siamese train", siamese.Train("shop", optimizer=siamese.FineTuningSettings(learning_rate=1e-3))),
    ("sentence-pair train", sentence_pair.Train(Path("out"), train_file=Path("pairs"), do_train=True, bf16=True)),
    ("colarec prepare", colarec.Prepare("shop", Path("events.csv"), Path("corpus.json"), cold_share=0.1)),
    ("colarec lightgcn", colarec.LightGcn("shop", colarec.GraphSettings(propagations=0, size=8))),
    ("colarec identifiers", colarec.Identifiers("shop", colarec.CodeSettings("content", codes=9), seed=7)),
]


@pytest.mark.parametrize(("step", "settings"), GIVEN, ids=[step for step, _ in GIVEN])
def test_a_command_line_parses_to_its_settings(monkeypatch, step, settings):
    """The command line of kerasrec parses it."""
    parsed = []
    system, name = step.split()
    monkeypatch.setitem(cli.SYSTEMS[system], name, (type(settings), f"{__name__}.record"))
    monkeypatch.setattr(cli.importlib, "import_module", lambda module: type("", (), {"record": parsed.append}))
    line = command_line(f"kerasrec {step}", settings)
    assert cli.main(shlex.split(line)[1:]) == 0
    assert parsed == [settings]


def test_default_settings_are_left_out():
    assert command_line("kerasrec recall vocab", recall.Vocab("all")) == "kerasrec recall vocab all"
    assert command_line("kerasrec siamese train", siamese.Train("shop")) == "kerasrec siamese train shop"
