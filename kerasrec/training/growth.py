"""A model and its optimizer take over the state of one with fewer items."""

from kerasrec.backend import keras, tf


def carry_over(old: "keras.Model", new: "keras.Model") -> None:
    """Give a model, and its optimizer, the state of one with a smaller vocabulary.

    Rows that the smaller one lacks keep their fresh values, zero in the optimizer's slots.

    Args:
        old: Compiled, its optimizer built.
        new: Of the same shape but for the length of its tables; compiled, its optimizer built.
    """
    for before, after in zip(
        [*old.variables, *old.optimizer.variables], [*new.variables, *new.optimizer.variables], strict=True
    ):
        fresh_rows = after[before.shape[0] :] if before.shape.rank and before.shape[0] < after.shape[0] else None
        after.assign(before if fresh_rows is None else tf.concat([before, fresh_rows], axis=0))
