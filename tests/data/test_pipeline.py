import time

from kerasrec.backend import tf
from kerasrec.data.pipeline import prefetch_batches


def test_the_end_of_an_epoch_does_not_wait():
    """TensorFlow's autotuner sleeps about as long as it has run, and deleting an iterator would wait for it."""
    batches = prefetch_batches(
        tf.data.Dataset.range(10**9).map(lambda number: number + 1, num_parallel_calls=2).batch(10)
    )
    assert not batches.options().autotune.enabled
    iterator, begin = iter(batches), time.perf_counter()
    while time.perf_counter() - begin < 3:
        next(iterator)
    begin = time.perf_counter()
    del iterator
    assert time.perf_counter() - begin < 0.5


def test_the_same_batches_in_the_same_order():
    assert [int(number) for number in prefetch_batches(tf.data.Dataset.range(50))] == list(range(50))
