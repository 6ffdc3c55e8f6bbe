import json
import shutil

import numpy as np
import pytest

from kerasrec.backend import bert4keras, tf
from kerasrec.data.text.tokenizer import WordPieceTokenizer
from kerasrec.errors import KerasrecError
from kerasrec.nn.transformer import text_encoder
from kerasrec.pretrained.bert import open_bert
from kerasrec.pretrained.convert import convert
from kerasrec.pretrained.settings import Convert
from kerasrec.workspace.locks import exclusive


@pytest.mark.parametrize("kind", ["safetensors", "torch"])
def test_the_converted_checkpoint_has_the_same_values(checkpoint, tmp_path, google_names, kind, logged):
    target = convert(Convert(checkpoint.write(kind), tmp_path / "deep" / "google"))
    assert logged().endswith("a checkpoint with encoder, pooler, head, next_sentence and 30 tokens\n")
    names = ["bert_config.json", "bert_model.ckpt.data-00000-of-00001", "bert_model.ckpt.index", "vocab.txt"]
    assert sorted(path.name for path in target.iterdir()) == names
    assert [path.name for path in target.parent.iterdir()] == ["google"]
    reader = tf.train.load_checkpoint(str(target / "bert_model.ckpt"))
    expected = google_names(checkpoint.tensors)
    assert reader.get_variable_to_shape_map().keys() == expected.keys()
    for name, values in expected.items():
        np.testing.assert_array_equal(reader.get_tensor(name), values, strict=True)
    assert (target / "vocab.txt").read_text().split() == checkpoint.tokens
    assert json.loads((target / "bert_config.json").read_text()) == checkpoint.config


def test_conversion_in_both_directions(checkpoint, tmp_path):
    source = open_bert(checkpoint.write())
    converted = open_bert(convert(Convert(checkpoint.folder, tmp_path / "google")))
    assert converted.config == source.config and converted.tokens == source.tokens
    one, other = (text_encoder(source.config, seed=seed) for seed in (1, 2))
    source.load_into(one)
    converted.load_into(other)
    for weight, same in zip(one.weights, other.weights, strict=True):
        np.testing.assert_array_equal(weight.numpy(), same.numpy(), strict=True)


def test_bert4keras_loads_it(checkpoint, oracle, tmp_path):
    target = convert(Convert(checkpoint.write(), tmp_path / "google"))
    model = bert4keras.models.build_transformer_model(
        str(target / "bert_config.json"), str(target / "bert_model.ckpt"), sequence_length=6
    )
    ids, segments = np.array([[2, 7, 29, 13, 3, 9]]), np.array([[0, 0, 0, 1, 1, 1]])
    expected = oracle(checkpoint.tensors, checkpoint.config, ids, segments)
    np.testing.assert_allclose(model.predict([ids, segments], verbose=0), expected, atol=2e-5)


def test_a_checkpoint_with_only_an_encoder(checkpoint, tmp_path):
    encoder = {name: values for name, values in checkpoint.tensors.items() if name.startswith("e")}
    target = convert(Convert(checkpoint.but(tensors=encoder).write(), tmp_path / "google"))
    bert = open_bert(target)
    assert [part for part in ("encoder", "pooler", "head", "next_sentence") if bert.has(part)] == ["encoder"]


def test_an_existing_target_is_not_changed(checkpoint, tmp_path):
    source, target = checkpoint.write(), tmp_path / "google"
    target.mkdir()
    (target / "mine.txt").touch()
    with pytest.raises(KerasrecError, match="google already exists: remove it, or give another folder"):
        convert(Convert(source, target))
    assert [path.name for path in target.iterdir()] == ["mine.txt"]
    (target / "mine.txt").unlink()
    assert open_bert(convert(Convert(source, target)))


def test_a_source_without_a_vocabulary(checkpoint, tmp_path):
    with pytest.raises(KerasrecError, match="there is no vocab.txt or tokenizer.json next to .*model.safetensors"):
        convert(Convert(checkpoint.but(tokens=None).write(), tmp_path / "google"))


def test_an_incomplete_part(checkpoint, tmp_path):
    source = checkpoint.without("cls.seq_relationship.bias").write()
    with pytest.raises(KerasrecError, match="lacks cls/seq_relationship/output_bias"):
        convert(Convert(source, tmp_path / "google"))
    assert not any(path.name.endswith("google") or "unfinished" in path.name for path in tmp_path.iterdir())


def test_a_killed_run_leaves_no_target_and_can_be_repeated(checkpoint, tmp_path, monkeypatch):
    source, target = checkpoint.write(), tmp_path / "google"
    with monkeypatch.context() as killed:
        killed.setattr(WordPieceTokenizer, "save", lambda *_: 1 / 0)
        killed.setattr(shutil, "rmtree", lambda *_, **__: None)  # a killed process tidies nothing up
        with pytest.raises(ZeroDivisionError):
            convert(Convert(source, target))
    leftover = tmp_path / ".google.unfinished"
    assert not target.exists() and (leftover / "bert_config.json").exists()
    (leftover / "bert_model.ckpt.data-00001-of-00002").touch()
    names = sorted(path.name for path in convert(Convert(source, target)).iterdir())
    assert names == ["bert_config.json", "bert_model.ckpt.data-00000-of-00001", "bert_model.ckpt.index", "vocab.txt"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bert", "google"]


def test_two_runs_at_once(checkpoint, tmp_path):
    source = checkpoint.write()
    with exclusive(tmp_path / ".google.unfinished"), pytest.raises(KerasrecError, match="another run is writing"):
        convert(Convert(source, tmp_path / "google"))
    assert not (tmp_path / "google").exists()


def test_disk_full(checkpoint, tmp_path, monkeypatch):
    def full(**_):
        raise tf.errors.ResourceExhaustedError(None, None, "No space left on device")

    monkeypatch.setattr(tf.raw_ops, "SaveV2", full)
    with pytest.raises(KerasrecError, match="no space left on the disk while writing .*google"):
        convert(Convert(checkpoint.write(), tmp_path / "google"))
    assert [path.name for path in tmp_path.iterdir()] == ["bert"]
