"""Batches that are made in NumPy: which rows go together, and a tf.data pipeline that makes them ahead of time."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from kerasrec.backend import tf
from kerasrec.data.pipeline import prefetch_batches

Batch = Mapping[str, np.ndarray]


def batches_of_similar_length(
    lengths: np.ndarray, batch_size: int, longest: Sequence[int], rng: np.random.Generator
) -> list[np.ndarray]:
    """Numbers 0 to n - 1 in random order, dealt out into batches of similar length, themselves in random order.

    Only one batch is smaller than the others: where a length bucket ends, a batch is filled from the next.

    Args:
        lengths: int [n].
        batch_size: Rows a batch.
        longest: The longest length of each bucket, rising.
        rng: Where the order comes from.
    """
    order = rng.permutation(len(lengths))
    bucket = np.searchsorted(longest, lengths[order])
    order = order[np.argsort(bucket, kind="stable")]
    batches = [order[start : start + batch_size] for start in range(0, len(order), batch_size)]
    return [batches[number] for number in rng.permutation(len(batches))]


def prefetched(
    batch: Callable[[int], Batch], specs: Mapping[str, "tf.TensorSpec"], first_step: int, end: int
) -> "tf.data.Dataset":
    """Batches number `first_step` to `end - 1`, made on two threads ahead of the training.

    Args:
        batch: Makes the batch of a number.
        specs: Form of its tensors by name.
        first_step: The first number.
        end: The one behind the last.
    """

    def arrays(step):
        made = batch(int(step))
        return [made[name] for name in specs]

    def tensors(step):
        made = tf.numpy_function(arrays, [step], [spec.dtype for spec in specs.values()], stateful=False)
        return {name: tf.ensure_shape(tensor, specs[name].shape) for name, tensor in zip(specs, made, strict=True)}

    return prefetch_batches(
        tf.data.Dataset.range(first_step, end).map(tensors, num_parallel_calls=2, deterministic=True)
    )
