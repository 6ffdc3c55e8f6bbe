import threading

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from kerasrec.backend import tf
from kerasrec.data.numpy_batches import batches_of_similar_length, prefetched


@given(st.lists(st.integers(1, 12), min_size=1, max_size=60), st.integers(1, 7), st.integers(0, 3))
def test_batches_hold_every_row_once_and_rows_of_similar_length(lengths, batch_size, seed):
    longest = [3, 6, 9, 12]
    plan = batches_of_similar_length(np.array(lengths), batch_size, longest, np.random.default_rng(seed))
    assert sorted(np.concatenate(plan)) == list(range(len(lengths)))
    assert sorted(map(len, plan))[1:] == [batch_size] * (len(plan) - 1)  # all but one are full
    buckets = [{int(np.searchsorted(longest, lengths[row])) for row in batch} for batch in plan]
    assert sum(len(in_batch) - 1 for in_batch in buckets) <= len(longest) - 1  # at most one mixed batch per boundary


def test_batches_are_in_order_from_any_step():
    specs = {"rows": tf.TensorSpec([None, 2], tf.int32), "weight": tf.TensorSpec([], tf.float32)}

    def batch(step):
        return {"rows": np.full([step + 1, 2], step, np.int32), "weight": np.float32(step / 2)}

    batches = list(prefetched(batch, specs, first_step=2, end=5).as_numpy_iterator())
    assert [len(batch["rows"]) for batch in batches] == [3, 4, 5]
    assert [batch["weight"] for batch in batches] == [1.0, 1.5, 2.0]
    assert prefetched(batch, specs, 0, 1).element_spec["rows"].shape.as_list() == [None, 2]


def test_two_threads_build_batches_in_advance():
    two_threads, fourth_built = threading.Barrier(2, timeout=60), threading.Event()

    def batch(step):
        two_threads.wait()  # fails unless another thread builds a batch at the same time
        if step >= 3:
            fourth_built.set()
        return {"step": np.int32(step)}

    batches = prefetched(batch, {"step": tf.TensorSpec([], tf.int32)}, first_step=0, end=6).as_numpy_iterator()
    assert next(batches)["step"] == 0
    assert fourth_built.wait(60)  # although only one batch was requested
    assert [batch["step"] for batch in batches] == [1, 2, 3, 4, 5]
