"""What a training leaves, damaged in every way: read when it is whole, read from its copy, or refused in one line."""

import re
import shutil

import pyarrow as pa
import pytest

from kerasrec.anime.records import Title
from kerasrec.anime.run import CONFIG, TRAINS, Output, mappings_of, read_trained, write_trained
from kerasrec.anime.settings import Train
from kerasrec.data.items.vocab import ItemVocab
from kerasrec.errors import KerasrecError
from kerasrec.workspace.config import write_config
from kerasrec.workspace.json_files import copy_of

VOCAB = ItemVocab.build(pa.table({"item": ["30", "7", "100"], "count": [9, 8, 7]}))
TITLES = [Title(7, romaji='Seven, "so\ncalled"'), Title(30, native="三十"), Title(100, romaji="Hundred")]
NAMES = {30: "三十", 7: 'Seven, "so\ncalled"', 100: "Hundred"}


@pytest.fixture
def output(tmp_path):
    output = Output(tmp_path / "out")
    write_trained(output, Train(output=output.folder), False, "digest of lists", mappings_of(VOCAB, TITLES))
    (output.folder / "checkpoints").mkdir()
    return output


def other_digit(path):
    path.write_bytes(re.sub(rb"\d(?=\D*\Z)", lambda digit: b"%d" % (9 - int(digit[0])), path.read_bytes()))


def made_a_folder(path):
    path.unlink()
    path.mkdir()


DAMAGES = {
    "flipped": other_digit,
    "truncated": lambda path: path.write_bytes(path.read_bytes()[:-5]),
    "empty": lambda path: path.write_bytes(b""),
    "missing": lambda path: path.unlink(),
    "NULs": lambda path: path.write_bytes(bytes(path.stat().st_size)),
    "a folder": made_a_folder,
}
COLUMNS = ("token_id", "id", "title", "users")
FILES = (CONFIG, "models/item_mappings.csv")


def read(output):
    trained = read_trained(output)
    assert trained.settings["seed"] == 42 and trained.ordered is False and trained.lists == "digest of lists"
    assert trained.vocab.items.equals(VOCAB.items) and trained.vocab.counts.tolist() == [9, 8, 7]
    assert trained.names == NAMES and trained.mappings == mappings_of(VOCAB, TITLES)


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("file", FILES)
def test_a_damaged_file_is_read_from_its_copy_and_without_one_refused(output, caplog, file, damage):
    read(output)
    assert not caplog.records
    path = output.folder / file
    DAMAGES[damage](path)
    read(output)
    assert str(path) in caplog.text and "its copy" in caplog.text

    DAMAGES[damage](copy_of(path))
    with pytest.raises(KerasrecError) as refused:
        read_trained(output)
    line = str(refused.value)
    assert "\n" not in line and str(path) in line and ("damaged" in line or "missing" in line)
    assert f"remove {output.folder} and run kerasrec anime train again" in line
    shutil.rmtree(output.folder)
    write_trained(output, Train(output=output.folder), False, "digest of lists", mappings_of(VOCAB, TITLES))
    read(output)


@pytest.mark.parametrize("change", [{"settings": {"width": 5}}, {"settings": None}, {"settings": {"seed": "x"}}, {}])
def test_settings_of_another_form(tmp_path, change):
    write_config(
        tmp_path, TRAINS, {"lists": "", **({"ordered": True} if change else {}), "settings": {}} | change, CONFIG
    )
    with pytest.raises(KerasrecError, match="training_config.json is damaged or of another version .*: remove"):
        read_trained(Output(tmp_path))


def test_a_folder_of_an_earlier_version_has_no_digest(output):
    config = {"settings": {}, "ordered": False, "lists": ""}
    write_config(output.folder, TRAINS, config, CONFIG)
    assert read_trained(output).names == NAMES
    header = ",".join(COLUMNS)
    for content in ("\0" * 50, f"{header}\n5,7,Seven,many\n", f"{header}\n5,7\n", "title\nSeven\n"):
        output.mappings_path.write_text(content)
        with pytest.raises(KerasrecError, match="item_mappings.csv is damaged .*: remove"):
            read_trained(output)


def test_before_any_training(tmp_path):
    with pytest.raises(KerasrecError, match="there is no trained model in .*: run kerasrec anime train$"):
        read_trained(Output(tmp_path))
