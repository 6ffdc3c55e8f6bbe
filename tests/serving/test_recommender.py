import shutil
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import pytest

from kerasrec.backend import tf
from kerasrec.errors import KerasrecError
from kerasrec.serving.recommender import Recommender
from kerasrec.serving.saved_model import export, signature

BAD_HISTORIES = [
    "i1",
    b"i1",
    None,
    7,
    np.array("i1"),
    ["783"],
    [b"i1"],
    [None],
    [["i1"], None],
    [[1.5, 2]],
    [[True]],
    [np.array([1.0, 2.0])],
    [np.array([True])],
    [[b"i1"]],
    [[None]],
    [[["i1"]]],
    [["i1", float("nan")]],
    [["i1", "\ud800"]],
    [{"i1": 1}],
    [{"i1"}],
    {"i1": ["i2"]},
    pd.DataFrame({"i1": ["i2"]}),
    tf.constant([["i1"]]),
]
BAD_OPTIONS = [
    *({"k": k} for k in (-1, 0, 2**31, 2**40, True, 2.5, 3.0, "5", None, np.int64(-3), [3])),
    *({"filter_seen": given} for given in (1, 0, "true", [True], np.array([True]), b"1", 1.0)),
    *({"exclude": given} for given in ("i1", b"i1", None, 5, [1.5], [b"i1"], [["i1"]], [None], ["\udfff"], {"i1": 1})),
]
BAD_CALLS = [((given,), {}) for given in BAD_HISTORIES] + [(([["i1"]],), options) for options in BAD_OPTIONS]


@pytest.mark.parametrize(("given", "options"), BAD_CALLS, ids=repr)
def test_wrong_arguments_are_errors_of_one_line(recommender, given, options):
    with pytest.raises(KerasrecError) as caught:
        recommender.recommend(*given, **options)
    assert len(str(caught.value).splitlines()) == 1 and "; it must be " in str(caught.value)
    if not options:
        with pytest.raises(KerasrecError):
            recommender.embed(*given)
        with pytest.raises(KerasrecError):
            recommender.item_vectors([given[0]] if isinstance(given[0], list) else given[0])


def test_the_message_has_the_index_of_the_invalid_value(recommender):
    with pytest.raises(KerasrecError, match=r"histories\[1\]\[2\] is 7.5; it must be a string"):
        recommender.recommend([["i1"], ["i2", "i3", 7.5]])


def test_eight_threads_with_invalid_calls(recommender):
    """After a TypeError in TensorFlow its lock would not be released, and the other threads would wait forever."""
    expected = recommender.recommend([["i1", "i2"]], k=3)

    def call(number):
        answers = []
        for given, options in BAD_CALLS[number::8]:
            with pytest.raises(KerasrecError):
                recommender.recommend(*given, **options)
            answers.append(recommender.recommend([["i1", "i2"]], k=3))
        return answers

    pool = ThreadPoolExecutor(8)
    try:
        futures = [pool.submit(call, number) for number in range(8)]
        for future in futures:
            assert all(answer == expected for answer in future.result(timeout=60))
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def test_lists_arrays_and_padded_rows_give_the_same_results(recommender):
    expected = recommender.recommend([["i1", "i2"], ["i3"]], k=np.int32(3), exclude=["i9"])
    padded = [["i1", "", "i2"], ["i3", "", ""]]
    for given in (padded, tuple(map(tuple, padded)), np.array(padded), np.array(padded, object)):
        assert recommender.recommend(given, k=3, exclude=np.array(["", "i9"])) == expected
    assert recommender.recommend([pd.Series(["i1", "i2"]), ["i3"]], k=3, exclude=pd.Series(["i9"])) == expected
    with_signature = recommender._module.signatures["recommend"](
        items=tf.constant(padded), exclude=tf.constant([["", "i9"]] * 2), filter_seen=tf.constant([True] * 2)
    )
    assert [[item.decode() for item in row[:3]] for row in with_signature["items"].numpy()] == [
        [item for item, _ in row] for row in expected
    ]
    np.testing.assert_array_equal(recommender.embed(padded), recommender.embed([["i1", "i2"], ["i3"]]))


def test_whole_numbers_are_ids(recommender):
    expected = recommender.recommend([["62498486", "i3"]], k=3, exclude=["7", "i9"], items=["i1", "i2", "8"])
    for number in (62498486, np.int64(62498486)):
        assert recommender.recommend([[number, "i3"]], k=3, exclude=[7, "i9"], items=["i1", "i2", 8]) == expected
    np.testing.assert_array_equal(recommender.embed([np.array([62498486])]), recommender.embed([["62498486"]]))
    np.testing.assert_array_equal(recommender.item_vectors([62498486])[0], recommender.item_vectors(["62498486"])[0])


def test_empty_arguments(recommender):
    assert recommender.recommend([]) == [] and recommender.recommend(np.zeros((0, 3), "U1")) == []
    popular = recommender.recommend([[]], k=2)
    assert recommender.recommend([["", ""]], k=2) == popular and len(popular[0]) == 2
    assert recommender.embed([]).shape == (0, 16) and recommender.embed([[], [""]]).shape == (2, 16)
    vectors, biases = recommender.item_vectors([])
    assert vectors.shape == (0, 16) and biases.shape == (0,)


def test_unknown_ids(recommender):
    [unknown] = recommender.recommend([["no such item"]], k=5)
    for item in ("i1\n", "i1 ", "[UNK]", "\0", "i1\0", "好" * 1000):
        assert recommender.recommend([[item]], k=5, filter_seen=False) == [unknown], item


def test_the_scores_are_products_of_the_vectors(recommender):
    [user] = recommender.embed([["i1", "i2"]])
    [best] = recommender.recommend([["i1", "i2"]], k=37, filter_seen=False)
    vectors, biases = recommender.item_vectors([item for item, _ in best])
    np.testing.assert_allclose(vectors @ user + biases, [score for _, score in best], atol=1e-5)


class Lists(tf.Module):
    """Recommends its only item to all users, and has no vectors."""

    def __init__(self):
        super().__init__()
        self.longest, self.filter_seen = tf.Variable(3), tf.Variable(False)

    @signature(items=([None, None], tf.string))
    def padded(self, items):
        return {"items": items}


def test_an_export_that_is_not_a_recommender(tmp_path):
    module = Lists()
    version = export(module, tmp_path, {"serving_default": module.padded}, {})
    with pytest.raises(KerasrecError, match="is not a recommender: give an export of `kerasrec recall export`"):
        Recommender(version)


def test_the_default_of_filter_seen_is_that_of_the_evaluation(recommender):
    assert recommender.filter_seen is True
    history = ["i1", "i2", "i3"]
    keeping = object.__new__(Recommender)
    keeping.__dict__ |= recommender.__dict__ | {"filter_seen": False}
    kept, filtered = (one.recommend([history], k=37) for one in (keeping, recommender))
    assert (len(kept[0]), len(filtered[0])) == (37, 34)
    assert recommender.recommend([history], k=37, filter_seen=np.False_) == kept


@pytest.mark.parametrize("change", ["cut", "lost line", "extra line", "swapped lines"])
def test_every_model_server_refuses_changed_items(served, tmp_path, change):
    """The graph compares its fingerprint with the file when it fills the tables."""
    version = shutil.copytree(served.version, tmp_path / "1")
    file = version / "assets" / "items.txt"
    lines = file.read_bytes().splitlines(keepends=True)
    changed = {
        "cut": b"".join(lines)[:-3],
        "lost line": b"".join(lines[:4] + lines[5:]),
        "extra line": b"".join([*lines[:4], b"new\n", *lines[4:]]),
        "swapped lines": b"".join([lines[1], lines[0], *lines[2:]]),
    }[change]
    file.write_bytes(changed)
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"assets/items.txt is not the file that was exported"):
        tf.saved_model.load(str(version))
    with pytest.raises(KerasrecError, match=r"items\.txt is not the file that was exported.*run `kerasrec recall exp"):
        Recommender(tmp_path)
