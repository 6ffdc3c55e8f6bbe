import threading

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from kerasrec.backend import tf
from kerasrec.data.numpy_batches import batches_of_similar_length, prefetched


@given(st.lists(st.integers(1, 12), min_size=1, max_size=60), st.integers(1, 7), st.integers(0, 3))
def test_every_row_once_and_similar_lengths_together(lengths, batch_size, seed):
    longest = [3, 6, 9, 12]
    plan = batches_of_similar_length(np.array(lengths), batch_size, longest, np.random.default_rng(seed))
    assert sorted(np.concatenate(plan)) == list(range(len(lengths)))
    assert sorted(map(len, plan))[1:] == [batch_size] * (len(plan) - 1)  # all but one are full
    buckets = [{int(np.searchsorted(longest, lengths[row])) for row in batch} for batch in plan]
    assert sum(len(some) - 1 for some in buckets) <= len(longest) - 1  # only where a bucket ends, two meet


def test_batches_come_in_order_from_any_step():
    specs = {"rows": tf.TensorSpec([None, 2], tf.int32), "weight": tf.TensorSpec([], tf.float32)}

    def batch(step):
        return {"rows": np.full([step + 1, 2], step, np.int32), "weight": np.float32(step / 2)}

    found = list(prefetched(batch, specs, first_step=2, end=5).as_numpy_iterator())
    assert [len(made["rows"]) for made in found] == [3, 4, 5] and [made["weight"] for made in found] == [1.0, 1.5, 2.0]
    assert prefetched(batch, specs, 0, 1).element_spec["rows"].shape.as_list() == [None, 2]


def test_two_batches_are_made_at_once_and_nobody_has_to_ask_for_them():
    together, ahead = threading.Barrier(2, timeout=60), threading.Event()

    def batch(step):
        together.wait()  # fails where no second batch is being made meanwhile
        if step >= 3:
            ahead.set()
        return {"step": np.int32(step)}

    batches = prefetched(batch, {"step": tf.TensorSpec([], tf.int32)}, first_step=0, end=6).as_numpy_iterator()
    assert next(batches)["step"] == 0
    assert ahead.wait(60)  # the fourth is made though only one was asked for
    assert [made["step"] for made in batches] == [1, 2, 3, 4, 5]
