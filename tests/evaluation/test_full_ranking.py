import numpy as np
import pytest

from kerasrec.backend import tf
from kerasrec.data.items.examples import TokenHistories
from kerasrec.evaluation.full_ranking import Protocol, rank_catalogue

ITEMS, VOCAB = 30, 35


def part(seed, users):
    """Rows, histories, targets and scores of a part; its users have one to three targets."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(0, 8, users)
    numbers = np.sort(rng.permutation(1000)[:users]) + 1000 * seed
    histories = TokenHistories(
        numbers, np.concatenate([[0], np.cumsum(lengths)]), rng.integers(5, VOCAB, lengths.sum()).astype(np.int32)
    )
    targets = np.zeros((users, 3), np.int32)
    for row in range(users):
        count = rng.integers(1, 4)
        targets[row, :count] = rng.permutation(np.arange(5, VOCAB))[:count]
    scores = rng.normal(size=(users, VOCAB)).astype(np.float32)
    return numbers, histories, targets, scores


def batches_of(numbers, targets, size):
    order = np.random.default_rng(0).permutation(len(numbers))
    for begin in range(0, len(order), size):
        rows = order[begin : begin + size]
        yield {
            "info": tf.constant(numbers[rows], tf.int64),
            "masked_lm_ids": tf.constant(targets[rows]),
            "masked_lm_weights": tf.constant((targets[rows] > 0).astype(np.float32)),
        }


def in_plain_python(parts, filter_seen):
    """The figures by their definitions, from each user's sorted list."""
    recall, ndcg, reciprocal, lists, misses = [], [], [], [], 0
    for numbers, histories, targets, scores in parts:
        for row in range(len(numbers)):
            wanted = {int(target) for target in targets[row] if target}
            seen = set(histories.ids[histories.offsets[row] : histories.offsets[row + 1]].tolist())
            allowed = [item for item in range(5, VOCAB) if not (filter_seen and item in seen)]
            ranked = sorted(allowed, key=lambda item: -scores[row, item])
            ranks = [ranked.index(target) + 1 if target in ranked else np.inf for target in wanted]
            misses += ranks.count(np.inf)
            recall.append(sum(rank <= 10 for rank in ranks) / len(wanted))
            gain = sum(1 / np.log2(1 + rank) for rank in ranks if rank <= 10)
            ndcg.append(gain / sum(1 / np.log2(2 + number) for number in range(len(wanted))))
            reciprocal.append(1 / min(ranks))
            lists += ranked[:10]
    return np.mean(recall), np.mean(ndcg), np.mean(reciprocal), len(set(lists)) / ITEMS, misses


@pytest.mark.parametrize("filter_seen", [True, False])
def test_figures_equal_the_definitions(filter_seen):
    parts = [part(0, 17), part(1, 9)]
    scores = {number: row for numbers, _, _, rows in parts for number, row in zip(numbers, rows, strict=True)}
    figures = rank_catalogue(
        lambda batch, offsets, ids: tf.constant(np.stack([scores[number] for number in batch["info"].numpy()])),
        [(batches_of(numbers, targets, 4), histories) for numbers, histories, targets, _ in parts],
        np.ones(ITEMS, np.int64),
        Protocol("test", filter_seen),
    ).figures()
    names = ("recall@10", "NDCG@10", "MRR", "coverage@10", "filtered_targets")
    assert (figures["filtered_targets"] > 0) == filter_seen
    assert tuple(figures[name] for name in names) == pytest.approx(in_plain_python(parts, filter_seen), abs=1e-6)
    assert figures["users"] == 26
    assert figures["targets"] == sum(np.count_nonzero(targets) for _, _, targets, _ in parts)


def test_scorers_get_the_histories_of_their_rows():
    numbers, histories, targets, scores = part(3, 11)

    def check(batch, offsets, ids):
        for row, number in enumerate(batch["info"].numpy()):
            user = int(np.flatnonzero(histories.users == number)[0])
            expected = histories.ids[histories.offsets[user] : histories.offsets[user + 1]]
            np.testing.assert_array_equal(ids[offsets[row] : offsets[row + 1]], expected)
        return tf.constant(scores[: len(batch["info"])])

    rank_catalogue(check, [(batches_of(numbers, targets, 3), histories)], np.ones(ITEMS, np.int64), Protocol("test"))


def test_sampled_protocols_have_names_and_higher_figures():
    numbers, histories, targets, scores = part(4, 40)
    figures = rank_catalogue(
        lambda batch, offsets, ids: tf.constant(scores[np.searchsorted(numbers, batch["info"].numpy())]),
        [(batches_of(numbers, targets[:, :1], 8), histories)],
        np.arange(1, ITEMS + 1),
        Protocol("test", sampled=True),
    ).figures()
    for name in ("sampled_uniform_100", "sampled_popularity_100"):
        assert figures[f"{name}/recall@10"] >= figures["recall@10"]


def test_size_and_order_of_batches_have_no_effect():
    numbers, histories, targets, scores = part(5, 23)
    results = [
        rank_catalogue(
            lambda batch, offsets, ids: tf.constant(scores[np.searchsorted(numbers, batch["info"].numpy())]),
            [(batches_of(numbers, targets, size), histories)],
            np.ones(ITEMS, np.int64),
            Protocol("test", sampled=True),
        ).figures()
        for size in (1, 7, 23)
    ]
    assert results[0] == pytest.approx(results[1])
    assert results[0] == pytest.approx(results[2])


def test_the_text_of_a_protocol():
    assert str(Protocol("test")) == "test split, full ranking over the catalogue, seen items filtered"
    assert "seen items kept" in str(Protocol("valid", filter_seen=False))
    assert "seen items filtered, in any order, a sample" in str(Protocol("valid", users=9, equal_scores="in any order"))
    for share, trained in ((0.05, "95%"), (0.0015, "99.85%"), (0.0, "100%")):
        expected = f"after training on the valid targets of {trained} of the users"
        assert str(Protocol("test", valid_share=share)).endswith(expected)


def test_the_text_of_a_protocol_with_a_description_of_targets():
    protocol = Protocol("valid", targets="new users, a fifth of their items", filter_seen=False)
    assert str(protocol) == "new users, a fifth of their items, full ranking over the catalogue, seen items kept"
