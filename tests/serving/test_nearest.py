import numpy as np
import pytest

from kerasrec.errors import KerasrecError
from kerasrec.serving.nearest import nearest, read_texts, read_vectors, write_vectors


def test_nearest_equals_a_full_sort():
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(500, 16)).astype(np.float32)
    queries = rng.normal(size=(3, 16)).astype(np.float32)
    products, rows = nearest(vectors, queries, k=7)
    expected = queries.astype(np.float64) @ vectors.T.astype(np.float64)
    np.testing.assert_array_equal(rows, np.argsort(-expected, axis=1)[:, :7])
    np.testing.assert_allclose(products, np.take_along_axis(expected, rows, axis=1), rtol=1e-4)
    assert nearest(vectors[:2], queries, k=7)[1].shape == (3, 2)
    for k in (0, -1, 2**40, True, 2.5, None):
        with pytest.raises(KerasrecError, match="k is .*; it must be a whole number"):
            nearest(vectors, queries, k)
    for invalid in (queries[0], queries.astype(float), queries[:, :5], queries.tolist(), None):
        with pytest.raises(KerasrecError, match="queries is .*; it must be"):
            nearest(vectors, invalid, 3)


def test_empty_lines_are_kept(tmp_path):
    path = tmp_path / "texts.txt"
    path.write_bytes("\ufeffone\n\nthree\u2028still three\n".encode())
    assert read_texts(path) == ["one", "", "three\u2028still three"]


@pytest.mark.parametrize(("content", "message"), [(b"", "is empty"), (b"ok\n\xff\xfe\n", "is not UTF-8")])
def test_files_that_are_not_texts(tmp_path, content, message):
    (tmp_path / "texts.txt").write_bytes(content)
    with pytest.raises(KerasrecError, match=message):
        read_texts(tmp_path / "texts.txt")


def test_vectors(tmp_path):
    path = tmp_path / "vectors.npy"
    vectors = np.arange(6, dtype=np.float32).reshape(2, 3)
    write_vectors(path, vectors, ["one", "two"], "kerasrec siamese encode shop")
    np.testing.assert_array_equal(read_vectors(path, ["one", "two"]), vectors)
    with pytest.raises(KerasrecError, match="the vectors of other texts: .*`kerasrec siamese encode shop`"):
        read_vectors(path, ["one", "three"])
    whole = path.read_bytes()
    path.write_bytes(whole[:-1] + b"?")
    with pytest.raises(KerasrecError, match="vectors.npy is damaged.*`kerasrec siamese encode shop`"):
        read_vectors(path, ["one", "two"])
    (tmp_path / "vectors.npy.json").unlink()  # vectors from another program
    path.write_bytes(whole)
    np.testing.assert_array_equal(read_vectors(path, ["three", "four"]), vectors)
    with pytest.raises(KerasrecError, match="there are 3 texts"):
        read_vectors(path, ["one", "two", "three"])
