import warnings

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.image import imread

from kerasrec.serving import similarity_matrix

UNUSUAL = [
    "costs $5 or $6 and $_{",
    "借呗什么时候会取消",
    "",
    "two\nlines\tand tabs",
    "long " * 50,
    "😀",
    "north",
    "north",
]


def unit_vectors(rows):
    vectors = np.random.default_rng(0).normal(size=(rows, 3)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


@pytest.fixture
def figure(monkeypatch):
    """Returns the figure that was saved last."""
    saved = []
    save = Figure.savefig
    monkeypatch.setattr(
        Figure, "savefig", lambda self, *args, **kwargs: (saved.append(self), save(self, *args, **kwargs))
    )
    return lambda: saved[-1]


def test_cells_numbers_and_labels(tmp_path, figure):
    vectors = unit_vectors(3)
    similarity_matrix.draw(tmp_path / "plots" / "picture.png", ["one", "two", "three"], vectors)
    axes = figure().axes[0]
    np.testing.assert_allclose(axes.images[0].get_array(), np.einsum("ih,jh->ij", vectors, vectors), atol=1e-6)
    assert [label.get_text() for label in axes.get_yticklabels()] == ["one  1", "two  2", "three  3"]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["1", "2", "3"]
    assert imread(tmp_path / "plots" / "picture.png").std() > 0


def test_unusual_texts_are_drawn_without_a_warning(tmp_path, figure):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        similarity_matrix.draw(tmp_path / "picture.png", UNUSUAL, unit_vectors(len(UNUSUAL)))
    labels = [label.get_text() for label in figure().axes[0].get_yticklabels()]
    assert labels[0] == "costs $5 or $6 and $_{  1" and labels[3] == "two lines and tabs  4"
    assert all(len(label) <= similarity_matrix.LONGEST_LABEL + 3 for label in labels)


def test_a_single_text(tmp_path):
    similarity_matrix.draw(tmp_path / "picture.png", ["alone"], unit_vectors(1))
    assert imread(tmp_path / "picture.png").std() > 0
