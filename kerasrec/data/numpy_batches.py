"""Batches that are built in NumPy: their grouping by length, and the tf.data pipeline that builds them in advance."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from kerasrec.backend import tf
from kerasrec.data.pipeline import prefetch_batches

Batch = Mapping[str, np.ndarray]


def batches_of_similar_length(
    lengths: np.ndarray, batch_size: int, longest: Sequence[int] | np.ndarray, rng: np.random.Generator
) -> list[np.ndarray]:
    """Group the row numbers 0 to n - 1 into batches of similar length, in random order.

    All batches but one have `batch_size` rows: rows of the next length bucket fill the last batch of a bucket.

    Args:
        lengths: int [n], the length of each row.
        batch_size: Rows per batch.
        longest: The largest length of each bucket, ascending.
        rng: Generator for the order.

    Returns:
        The row numbers of each batch, int64 arrays.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> batches = batches_of_similar_length(np.array([3, 9, 2, 8]), batch_size=2, longest=[5, 10], rng=rng)
        >>> sorted(sorted(batch.tolist()) for batch in batches)
        [[0, 2], [1, 3]]
    """
    order = rng.permutation(len(lengths))
    bucket = np.searchsorted(longest, lengths[order])
    order = order[np.argsort(bucket, kind="stable")]
    batches = [order[start : start + batch_size] for start in range(0, len(order), batch_size)]
    return [batches[number] for number in rng.permutation(len(batches))]


def prefetched(
    batch: Callable[[int], Batch], specs: Mapping[str, "tf.TensorSpec"], first_step: int, end: int
) -> "tf.data.Dataset":
    """A dataset of the batches `first_step` to `end - 1`, which two threads build in advance.

    Args:
        batch: Function that builds the batch with a given number.
        specs: Shape and type of the tensors by name.
        first_step: Number of the first batch.
        end: Number of the last batch plus one.

    Example:
        >>> specs = {"ids": tf.TensorSpec([None], tf.int64)}
        >>> batches = prefetched(lambda step: {"ids": np.full(2, step)}, specs, first_step=3, end=5)
        >>> [batch["ids"].numpy().tolist() for batch in batches]
        [[3, 3], [4, 4]]
    """

    def build_arrays(step):
        arrays = batch(int(step))
        return [arrays[name] for name in specs]

    def build_tensors(step):
        tensors = tf.numpy_function(build_arrays, [step], [spec.dtype for spec in specs.values()], stateful=False)
        return {name: tf.ensure_shape(tensor, specs[name].shape) for name, tensor in zip(specs, tensors, strict=True)}

    return prefetch_batches(
        tf.data.Dataset.range(first_step, end).map(build_tensors, num_parallel_calls=2, deterministic=True)
    )
