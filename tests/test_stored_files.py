"""Tests that damage every kind of stored file in several ways and read it again."""

import contextlib
import shlex
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from kerasrec.cli import main
from kerasrec.colarec import dataset as colarec
from kerasrec.data.items.vocab import ItemVocab
from kerasrec.errors import KerasrecError
from kerasrec.recall import dataset as recall
from kerasrec.recall.histories import user_histories
from kerasrec.serving.nearest import read_vectors, write_vectors
from kerasrec.siamese import dataset as siamese
from kerasrec.siamese.run import Trained
from kerasrec.training.metrics_file import metrics_line, read_metrics
from kerasrec.workspace.config import read_config, write_config
from kerasrec.workspace.manifest import Manifest
from kerasrec.workspace.run_folders import RunFolders, find_parts
from tests.colarec.conftest import CliHarness as ColaRecHarness
from tests.recall.conftest import CliHarness as RecallHarness
from tests.siamese.conftest import CliHarness as SiameseHarness

TEXTS = ["one", "two"]
LINES = [{"kind": "train", "step": step, "loss": 1 / step} for step in range(1, 9)]


@dataclass(frozen=True)
class Kind:
    """A kind of stored file.

    Attributes:
        path: The file.
        read: Reads the file.
        has_copy: Whether `read` uses a copy when the file is damaged.
        restores: Whether the test runs the command that the error names.
    """

    path: Path
    read: Callable[[], object]
    has_copy: bool = False
    restores: bool = True


def folders(harness):
    return RunFolders(*(harness.folder / kind for kind in ("data", "output", "export")))


@pytest.fixture(scope="session")
def recall_harness(tmp_path_factory, command_line):
    """A prepared task whose vocabulary has been extended once."""
    harness = RecallHarness(tmp_path_factory.mktemp("recall *"), command_line)
    harness.prepare(harness.write_log(users=10), "--masking", "dynamic")
    first = ItemVocab.load(harness.task / "vocab.parquet")
    harness.prepare(harness.write_log(users=40, zipf=0.2, seed=5), "--masking", "dynamic")
    grown = ItemVocab.load(harness.task / "vocab.parquet")
    assert len(grown) > len(first) and grown.digest(len(first)) == first.digest(), "the first ids must not change"
    return harness


@pytest.fixture(scope="session")
def recall_kinds(recall_harness):
    harness = recall_harness
    user = pq.read_table(harness.task / "users.parquet")["raw"][0].as_py()

    def opened():
        return recall.PreparedData(*find_parts("all", folders(harness)))

    def examples():
        return opened().files("train", opened().parts) and opened().files("test", opened().parts)

    def command(*words):
        code, _, err = harness.run(*words)
        if code:
            raise KerasrecError(err.removeprefix("kerasrec: ").removesuffix("\n"))

    return {
        "part": Kind(harness.task / "parts" / "part-001.parquet", lambda: command("vocab", "all")),
        "users": Kind(harness.task / "users.parquet", lambda: user_histories(opened().task, [user])),
        "vocab": Kind(harness.task / "vocab.parquet", lambda: opened().vocab.items.to_pylist()),
        "train examples": Kind(harness.task / "tfrecord" / "part-001.train.tfrecord", examples),
        "test examples": Kind(harness.task / "tfrecord" / "part-002.test.tfrecord", examples),
        "recall manifest": Kind(harness.task / "manifest.json", lambda: opened().parts, has_copy=True),
    }


@pytest.fixture(scope="session")
def siamese_kinds(tmp_path_factory, command_line):
    harness = SiameseHarness(tmp_path_factory.mktemp("siamese ?*"), command_line)
    harness.prepare()
    folder = folders(harness).task("shop").data

    def opened():
        return siamese.PreparedData("shop", folders(harness))

    return {
        "vocab.txt": Kind(folder / "vocab.txt", lambda: opened().tokenizer.tokens),
        "groups": Kind(folder / "groups.parquet", lambda: opened().groups[1].tolist()),
        "pairs": Kind(folder / "valid.parquet", lambda: opened().pairs("valid").left),
        "siamese manifest": Kind(folder / "manifest.json", lambda: opened().digest, has_copy=True),
    }


@pytest.fixture(scope="session")
def colarec_kinds(tmp_path_factory, command_line):
    harness = ColaRecHarness(tmp_path_factory.mktemp("colarec ?*"), command_line)
    harness.prepare()
    harness.identify()
    folder = folders(harness).task("shop").data

    def opened():
        return colarec.PreparedData("shop", folders(harness))

    opened().write_array("lightgcn", np.ones([4, 2], np.float32), "kerasrec colarec lightgcn shop --size 2")
    return {
        "items": Kind(folder / "items.parquet", lambda: opened().contents),
        "user ids": Kind(folder / "users.parquet", lambda: opened().user_ids),
        "interactions": Kind(folder / "interactions.parquet", lambda: opened().interactions.items.tolist()),
        "targets": Kind(folder / "targets.parquet", lambda: opened().targets("test").items.tolist()),
        "spiece.model": Kind(folder / "spiece.model", lambda: len(opened().tokenizer)),
        "codes": Kind(folder / "codes.npy", lambda: opened().codes.tolist()),
        "embeddings": Kind(folder / "lightgcn.npy", lambda: opened().array("lightgcn").tolist(), restores=False),
        "colarec manifest": Kind(folder / "manifest.json", lambda: opened().digest, has_copy=True),
    }


@pytest.fixture(scope="session")
def output_kinds(tmp_path_factory):
    folder = tmp_path_factory.mktemp("output")
    write_config(folder, "kerasrec recall train", {"model": {"hidden_size": 16}})
    write_vectors(folder / "vectors.npy", np.ones([2, 3], np.float32), TEXTS, "kerasrec siamese encode shop")
    (folder / "metrics.jsonl").write_text("".join(map(metrics_line, LINES)), encoding="utf-8")
    return {
        "config": Kind(folder / "config.json", lambda: read_config(folder, "kerasrec recall train"), has_copy=True),
        "vectors": Kind(
            folder / "vectors.npy", lambda: read_vectors(folder / "vectors.npy", TEXTS).tolist(), restores=False
        ),
        "metrics": Kind(folder / "metrics.jsonl", lambda: read_metrics(folder / "metrics.jsonl")),
    }


def flip_bit(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def replace_by_folder(path):
    path.unlink()
    path.mkdir()


DAMAGES = {
    "flipped": flip_bit,
    "truncated": lambda path: path.write_bytes(path.read_bytes()[:-5]),
    "empty": lambda path: path.write_bytes(b""),
    "missing": lambda path: path.unlink(),
    "other JSON": lambda path: path.write_bytes(b'{"settings": [{"unknown": null}]}'),
    "null": lambda path: path.write_bytes(b"null\n"),
    "NULs": lambda path: path.write_bytes(bytes(path.stat().st_size)),
    "a folder": replace_by_folder,
}
SYSTEMS = {
    "recall_kinds": ("part", "users", "vocab", "train examples", "test examples", "recall manifest"),
    "siamese_kinds": ("vocab.txt", "groups", "pairs", "siamese manifest"),
    "colarec_kinds": (
        *("items", "user ids", "interactions", "targets", "spiece.model", "codes"),
        *("embeddings", "colarec manifest"),
    ),
    "output_kinds": ("config", "vectors"),
}


@pytest.fixture
def damaged(request):
    """`damaged(kinds, name, damage)` damages a file until the test ends and returns its `Kind`."""
    originals = []

    def damage_file(kinds, name, damage):
        kind = request.getfixturevalue(kinds)[name]
        content = kind.path.read_bytes()
        originals.append((kind.path, content))
        DAMAGES[damage](kind.path)
        return kind

    yield damage_file
    for path, content in originals:
        if path.is_dir():
            shutil.rmtree(path)
        path.write_bytes(content)


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize(("kinds", "name"), [(kinds, name) for kinds, names in SYSTEMS.items() for name in names])
def test_a_damaged_file_is_refused_and_restored_or_read_from_its_copy(request, damaged, kinds, name, damage):
    """One line names the file and a command, and this command restores the file."""
    before = request.getfixturevalue(kinds)[name].read()
    original = request.getfixturevalue(kinds)[name].path.read_bytes()
    kind = damaged(kinds, name, damage)
    if kind.has_copy:
        assert kind.read() == before
        return
    with pytest.raises(KerasrecError) as refused:
        kind.read()
    line = str(refused.value)
    assert kind.path.stem in line and "\n" not in line
    if damage == "a folder":
        assert "is a folder and must be a file: move it away" in line
        kind.path.rmdir()
    elif damage not in ("flipped", "missing"):
        assert "is damaged" in line
        return  # the command is the same as for a missing file
    _, command, _ = line.split("`")
    if not kind.restores:
        assert command in ("kerasrec colarec lightgcn shop --size 2", "kerasrec siamese encode shop")
        return
    assert main(shlex.split(command)[1:]) == 0
    assert kind.path.read_bytes() == original
    assert kind.read() == before


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_log_of_figures_keeps_its_good_lines(output_kinds, damaged, caplog, damage):
    if damage == "a folder":
        damaged("output_kinds", "metrics", damage)
        with pytest.raises(IsADirectoryError):  # the command line prints one line and ends with exit code 2
            output_kinds["metrics"].read()
        return
    lines = damaged("output_kinds", "metrics", damage).read()
    assert all(line in LINES for line in lines)
    assert len(lines) == {"flipped": 7, "truncated": 7}.get(damage, 0)
    assert ("1 of 8 lines are damaged" in caplog.text) == (damage == "flipped")


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_file_is_refused_when_its_copy_is_damaged_too(tmp_path, damage):
    write_config(tmp_path, "kerasrec recall train", {"model": {}})
    for path in (tmp_path / "config.json", tmp_path / ".config.json.copy"):
        DAMAGES[damage](path)
    with pytest.raises(KerasrecError) as refused:
        read_config(tmp_path, "kerasrec recall train")
    line = str(refused.value)
    assert "\n" not in line and "run kerasrec recall train" in line
    assert f"{tmp_path / 'config.json'} is damaged" in line or (damage, "no trained model" in line) == ("missing", True)


@pytest.mark.parametrize("config", [{}, {"bert": 5}, {"bert": {"width": 5}}, {"bert": {"vocab_size": "many"}}])
def test_a_config_with_missing_or_invalid_settings_is_refused(tmp_path, config):
    write_config(tmp_path, "kerasrec siamese train", config)
    with pytest.raises(KerasrecError, match=r"config.json is damaged or of another version \(.*: run kerasrec siamese"):
        Trained(tmp_path)


def test_damaged_examples_of_unchanged_size_are_written_again(recall_kinds, damaged, command_line):
    kind = recall_kinds["train examples"]
    content = kind.path.read_bytes()
    damaged("recall_kinds", "train examples", "flipped")
    with pytest.raises(KerasrecError) as refused:
        kind.read()
    command = shlex.split(str(refused.value).split("`")[1])
    out = command_line("recall").ok("examples", "all", *command[4:])
    assert "2 of 3 parts are written already" in out
    assert kind.path.read_bytes() == content


def test_a_vocabulary_whose_copy_is_damaged_too(recall_kinds, damaged, command_line):
    kind = recall_kinds["vocab"]
    data = f"--data-path={kind.path.parent.parent}"
    copy = kind.path.with_name(".vocab.parquet.copy")
    content = copy.read_bytes()
    damaged("recall_kinds", "vocab", "truncated")
    copy.write_bytes(content[:-1])
    line = command_line("recall").error("vocab", "all", data)
    message = (
        "vocab.parquet is damaged, and its copy .vocab.parquet.copy is not whole: restore one of them, or remove both"
    )
    assert message in line
    kind.path.unlink()
    assert message.replace("damaged", "missing", 1) in command_line("recall").error("vocab", "all", data)
    copy.write_bytes(content)


# --- a trained and exported run ---


RECOMMEND = ("recommend", "all", "--items", "i001", "--k", 3)


@pytest.fixture(scope="module")
def trained_harness(recall_harness):
    recall_harness.train("all", "--epochs", 1)
    return recall_harness


@pytest.fixture(scope="module")
def export_command(trained_harness):
    """Run the export command that an error names; return the command."""
    _, command, _ = trained_harness.error(*RECOMMEND).split("`")
    assert main(shlex.split(command)[1:]) == 0
    return command


@contextlib.contextmanager
def damaged_in_block(path, damage):
    content = path.read_bytes()
    DAMAGES[damage](path)
    yield
    if path.is_dir():
        path.rmdir()
    path.write_bytes(content)


FILES = "assets.extra/files.json"
EXPORTED = (*(f"variables/variables.{end}" for end in ("index", "data-00000-of-00001")), "saved_model.pb")
DAMAGED_EXPORTS = [
    (name, damage)
    for name in (*EXPORTED, "assets/items.txt", FILES)
    for damage in DAMAGES
    if (name, damage) != (FILES, "missing")  # exports of earlier versions do not have this file
]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "damage"), DAMAGED_EXPORTS)
def test_a_damaged_export_is_refused(trained_harness, export_command, name, damage):
    path = trained_harness.folder / "export" / trained_harness.task.name / "1" / name
    with damaged_in_block(path, damage):
        line = trained_harness.error(*RECOMMEND)
    assert f"run `{export_command}`" in line
    assert path.name in line or (name, damage) == (FILES, "flipped")  # the flipped bit changes another file's name


@pytest.mark.slow
@pytest.mark.parametrize(
    ("file", "damages"),
    [
        ("best/*.index", ("truncated", "empty", "NULs")),
        ("best/*.data*", ("missing", "empty", "a folder")),
        ("*.index", ("flipped", "missing")),
        ("*.data*", ("truncated",)),
    ],
)
def test_a_damaged_checkpoint_is_refused(trained_harness, file, damages):
    which = "best" if file.startswith("best") else "latest"
    [path] = (trained_harness.output / "checkpoints").glob(file if which == "best" else f"ckpt-{file}")
    for damage in damages:
        with damaged_in_block(path, damage):
            line = trained_harness.error("evaluate", "all", "--no-baselines", "--checkpoint", which)
        assert f"there is no checkpoint in {path.parent} that fits this model and is whole" in line, damage
        assert f"put it back, or remove {trained_harness.output} and train again" in line


@pytest.mark.parametrize("name", ["../../x", "/abs", ".", "..", "", "a/b", "a\\b", "-x", "a b", "a\x1b"])
@pytest.mark.parametrize("system", ["siamese", "colarec"])
def test_a_name_that_is_not_a_folder_name_is_refused(tmp_path, monkeypatch, command_line, system, name):
    monkeypatch.chdir(tmp_path)
    line = command_line(system).error("evaluate", "--", name)
    assert "it must be letters, digits, _ . -, not . or - first" in line
    assert not list(tmp_path.iterdir())


def test_command_line_words_that_are_not_utf_8_are_refused(command_line):
    line = command_line("siamese").error("evaluate", "shop", "--data-path", "caf\udce9")
    assert line == r"kerasrec: b'caf\xe9' is not UTF-8: give the file or folder another name"


@pytest.mark.parametrize("folder", ["out[1]", "out\\1"])
def test_a_folder_that_tensorflow_reads_as_a_pattern_is_refused(tmp_path, command_line, folder):
    """Otherwise the run would train for hours and then not find its checkpoints."""
    allowed = "it must be a path without [ and \\, which TensorFlow cannot read"
    for words in (("siamese", "train", "shop", "--output-path"), ("colarec", "export", "shop", "--export-path")):
        assert allowed in command_line(words[0]).error(*words[1:], tmp_path / folder)
    assert allowed in command_line("anime").error("train", "--output", tmp_path / folder)
    words = ("export", "--output_dir", tmp_path, "--export_path", tmp_path / folder)
    assert allowed in command_line("sentence-pair").error(*words)
    words = ("train", "--do_train", "--train_file", "pairs.txt", "--output_dir", tmp_path / folder)
    assert allowed in command_line("sentence-pair").error(*words)


def test_an_unknown_setting_of_examples_is_refused(recall_kinds):
    """A later version may have written such a setting. The error names the command that writes the examples again."""
    kind = recall_kinds["train examples"]
    manifest = Manifest(recall_kinds["recall manifest"].path)
    entry = manifest.section("examples")["part-001"]
    manifest.update("examples", {"part-001": {**entry, "settings": {**entry["settings"], "width": 5}}})
    with pytest.raises(KerasrecError, match="manifest.json is damaged or of another version .*'width'") as refused:
        kind.read()
    options = ("--masking", "dynamic", *map(str, RecallHarness.LENGTHS))
    assert main([*shlex.split(str(refused.value).split("`")[1])[1:], *options, "--jobs", "1"]) == 0
    kind.read()
    assert manifest.section("examples")["part-001"] == entry


@pytest.mark.parametrize(
    ("kinds", "name", "words"),
    [
        ("recall_kinds", "part", ("recall", "vocab", "all")),
        ("recall_kinds", "part", ("recall", "examples", "all")),
        ("recall_kinds", "vocab", ("recall", "examples", "all")),
        ("recall_kinds", "users", ("recall", "recommend", "all", "--user", "u1")),
        ("siamese_kinds", "vocab.txt", ("siamese", "train", "shop", "--config-file", "{harness}/bert_config.json")),
        ("siamese_kinds", "pairs", ("siamese", "evaluate", "shop")),
        ("colarec_kinds", "items", ("colarec", "identifiers", "shop", "--source", "random")),
        ("colarec_kinds", "interactions", ("colarec", "lightgcn", "shop")),
        ("colarec_kinds", "codes", ("colarec", "train", "shop")),
    ],
)
def test_steps_refuse_a_flipped_byte_in_one_line(damaged, command_line, kinds, name, words):
    kind = damaged(kinds, name, "flipped")
    harness = next(folder.parent for folder in kind.path.parents if folder.name == "data")
    folders = [f"--{place}-path={harness / place}" for place in ("data", "output", "export")]
    system, *rest = (str(word).format(harness=harness) for word in words)
    line = command_line(system).error(*rest, *folders)
    assert kind.path.name in line and "is damaged" in line and "`kerasrec" in line
