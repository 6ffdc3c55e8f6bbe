import numpy as np

from kerasrec.evaluation.baselines.popularity import Popularity


def test_scores_are_the_counts_of_items_and_0_for_special_tokens():
    scores = Popularity(np.array([2, 0, 3, 0])).scores(np.array([0, 1, 1]), np.array([5]))
    assert scores.dtype == np.float32
    assert scores.tolist() == [[0, 0, 0, 0, 0, 2, 0, 3, 0]] * 2
