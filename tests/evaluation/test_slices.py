import numpy as np

from kerasrec.evaluation.full_ranking import RankedTargets
from kerasrec.evaluation.slices import slice_figures

COUNTS = np.array([100 - number for number in range(17)] + [3, 2, 0])  # 20 items, two in each tenth


def ranked(targets, ranks, lengths):
    users = np.arange(len(targets))
    return RankedTargets(
        users, np.array(targets), {"": np.array(ranks)}, np.array(lengths), np.zeros((len(users), 20), int), COUNTS
    )


def test_slices_by_loops():
    rng = np.random.default_rng(0)
    targets, ranks, lengths = rng.integers(5, 25, 80), rng.integers(1, 15, 80), rng.integers(0, 300, 80)
    gains = np.where(ranks <= 10, 1 / np.log2(1 + ranks), 0)
    found = slice_figures(ranked(targets, ranks, lengths))
    for tenth in range(1, 11):
        [name] = [name for name in found if name.split(" (")[0] == f"items, tenth {tenth}"]
        chosen = (targets - 5) // 2 + 1 == tenth
        assert found[name]["targets"] == chosen.sum() and np.isclose(found[name]["NDCG@10"], gains[chosen].mean())
    rare = np.isin(targets, [22, 23, 24])
    assert np.isclose(found["items with under 5 events"]["NDCG@10"], gains[rare].mean())
    long = (lengths > 50) & (lengths <= 100)
    assert np.isclose(found["histories of 51 to 100 events"]["NDCG@10"], gains[long].mean())
    assert found["histories of over 200 events"]["targets"] == (lengths > 200).sum()


def test_every_target_is_in_one_tenth_and_one_group_of_lengths():
    lengths = [0, 1, 2, 5, 6, 10, 11, 20, 21, 50, 51, 100, 101, 200, 201]
    found = slice_figures(ranked([5] * 15, [1] * 15, lengths))
    assert sum(values["targets"] for name, values in found.items() if "tenth" in name) == 15
    assert sum(values["targets"] for name, values in found.items() if "histories" in name) == 15
    assert "histories of 0 events" in found and "histories of 1 events" in found and "items, tenth 2" not in found


def test_padding_and_unknown_targets():
    found = slice_figures(ranked([0, 1, 5], [0, 2**31 - 1, 1], [3, 3, 3]))
    assert found["histories of 2 to 5 events"] == {"NDCG@10": 0.5, "targets": 2}
    assert found["items, tenth 1 (most events)"] == {"NDCG@10": 1.0, "targets": 1}
