"""Copy the state of a model and its optimizer into those of a model with more items."""

from kerasrec.backend import keras, tf


def carry_over(old: "keras.Model", new: "keras.Model") -> None:
    """Copy the state of a model and its optimizer into a model with a larger vocabulary.

    New rows keep their initial values, which are zero in the optimizer's slots.

    Args:
        old: Compiled, with a built optimizer.
        new: The same model with longer tables; compiled, with a built optimizer.
    """
    for before, after in zip(
        [*old.variables, *old.optimizer.variables], [*new.variables, *new.optimizer.variables], strict=True
    ):
        new_rows = after[before.shape[0] :] if before.shape.rank and before.shape[0] < after.shape[0] else None
        after.assign(before if new_rows is None else tf.concat([before, new_rows], axis=0))
