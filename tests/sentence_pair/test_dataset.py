from kerasrec.data.text.labels import Labels
from kerasrec.data.text.tokenizer import SPECIALS, WordPieceTokenizer
from kerasrec.sentence_pair.dataset import PairReader

TOKENIZER = WordPieceTokenizer([*SPECIALS, "a", "b", "c", '"'], ascii_quotes=True)


def read(tmp_path, name, *rows, classes=2):
    (tmp_path / name).write_text("".join(f"{row}\n" for row in rows), encoding="utf-8")
    return PairReader(TOKENIZER, classes, None).read(tmp_path / name, tmp_path / "rejects", max_reject_share=0.5)


def test_pairs_in_both_files(tmp_path):
    valid = read(tmp_path, "valid", "a||b\tc\t1", "a\tb||c\t0", "“a”\tb\t1", "a b\tc\t1")
    assert valid.shared_with(read(tmp_path, "none", "c\ta\t0", "a||b||c\ta\t1")) == 0
    assert valid.shared_with(read(tmp_path, "both", "A\tb||c\t0", '"a" \tb\t0', "b\ta\t1")) == 2


def test_classes_are_learned_once_and_logged_by_name(tmp_path, logged):
    pairs = read(tmp_path, "train", "a\tb\tsame", "b\tc\tother", "a\tc\tSAME")
    assert (pairs.sides.classes.names, pairs.sides.labels.tolist()) == (("other", "same"), [1, 0, 1])
    assert "pairs by label: 'other' 1, 'same' 2" in logged()
    known = read(tmp_path, "valid", "a\tb\tSame", "b\tc\t1", classes=Labels(("other", "same")))
    assert known.sides.labels.tolist() == [1]
    assert known.sides.reasons == {"label is not one of the classes (such as '1'; allowed: other, same)": 1}
    assert (tmp_path / "rejects").exists()
    read(tmp_path, "valid", "a\tb\tsame", "b\tc\tother")
    assert not (tmp_path / "rejects").exists()
