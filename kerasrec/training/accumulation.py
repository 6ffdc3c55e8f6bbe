"""Gradients of a large batch with the memory of a small batch.

The batch is cut into slices that go through the model one after the other. The result is the gradient of the mean loss
over the whole batch, up to rounding, even if the slices have different counts. With dropout, the random draws differ
from those of one large batch.

The gradients are dense. The sum of the sparse gradients of an embedding table would grow with the number of tokens in
the large batch, which accumulation must avoid; a dense gradient is only as large as the table. It also has the right
norm for clipping: the norm of a sparse gradient counts each repeated token separately.
"""

from collections.abc import Callable, Sequence

from kerasrec.backend import tf
from kerasrec.nn.replicas import sum_over_replicas

Batch = dict[str, "tf.Tensor"]


def slice_rows(batch: Batch, begin: "tf.Tensor | int", end: "tf.Tensor | int") -> Batch:
    """Examples `begin` to `end` - 1 of a batch in which every tensor has one row for each example.

    Example:
        >>> slice_rows({"labels": tf.constant([4, 5, 6])}, 1, 3)["labels"].numpy().tolist()
        [5, 6]
    """
    return {name: values[begin:end] for name, values in batch.items()}


def slice_pairs(batch: Batch, begin: "tf.Tensor | int", end: "tf.Tensor | int") -> Batch:
    """Pairs `begin` to `end` - 1 of a batch of pairs whose sides have one or more sentences.

    Args:
        batch: `labels` [B]; `side` int32 [S], ascending: the sentences of sides 2i and 2i + 1 belong to pair i; every
            other tensor, such as `input_ids` [S, L], has a row for each sentence.
        begin: First pair.
        end: The pair after the last one.

    Returns:
        A batch of the same form, with sides numbered from 0.

    Example:
        >>> batch = {"labels": tf.constant([1, 0]), "side": tf.constant([0, 1, 1, 2, 3])}
        >>> {name: values.numpy().tolist() for name, values in slice_pairs(batch, 1, 2).items()}
        {'labels': [0], 'side': [0, 1]}
    """
    first, last = tf.unstack(tf.searchsorted(batch["side"], tf.stack([2 * begin, 2 * end])))
    part = {name: values[begin:end] if name == "labels" else values[first:last] for name, values in batch.items()}
    return part | {"side": part["side"] - 2 * begin}


def accumulated_gradients(
    loss_of: Callable[[Batch], "tuple[tf.Tensor, tf.Tensor]"],
    batch: Batch,
    parts: int,
    variables: "Sequence[tf.Variable]",
    take: Callable[..., Batch] = slice_rows,
    loss_scale: "tf.Tensor | float" = 1.0,
) -> "tuple[list[tf.Tensor | None], tf.Tensor, tf.Tensor]":
    """Gradients of the mean loss over a batch that goes through the model in slices.

    Use it for losses of single examples; for losses that compare examples with each other see
    `accumulated_gradients_in_batch`. Under a distribution strategy the mean is over the batches of all replicas, so
    that the optimizer's sum over replicas is the gradient of the whole batch.

    Args:
        loss_of: Returns the sum of the losses of a slice, float32 [], and its divisor for the mean, int or float [].
        batch: Tensors by name; `labels` has a row for each example.
        parts: Number of slices, at most one per example. Their sizes differ by at most one example.
        variables: The variables, already built.
        take: Cuts examples out of the batch: `slice_rows` or `slice_pairs`.
        loss_scale: The scale of a `LossScaleOptimizer`; the returned gradients are unscaled.

    Returns:
        The gradients, each with the shape of its variable, or None if no slice depends on the variable; the sum of the
        losses and its divisor, for this replica's whole batch.

    Example:
        >>> weight = tf.Variable(2.0)
        >>> loss_of = lambda part: (tf.reduce_sum(weight * part["labels"]), tf.size(part["labels"]))
        >>> batch = {"labels": tf.constant([1.0, 2.0, 6.0])}
        >>> gradients, total, count = accumulated_gradients(loss_of, batch, 2, [weight])
        >>> float(gradients[0]), float(total), float(count)
        (3.0, 18.0, 3.0)
    """

    def term(part: Batch):
        loss, count = loss_of(part)
        count = tf.cast(count, tf.float32)
        # The gradient of a mean, because that of a sum could overflow float16 at the same loss scale.
        return loss_scale * tf.math.divide_no_nan(loss, count), count / loss_scale, (loss, count)

    gradients, (total, count) = _summed(term, batch, parts, variables, take, (tf.zeros([]), tf.zeros([])))
    total_count = sum_over_replicas(count)
    means = [None if gradient is None else tf.math.divide_no_nan(gradient, total_count) for gradient in gradients]
    return means, total, count


def accumulated_gradients_in_batch(
    vectors_of: "Callable[[Batch], tf.Tensor]",
    loss_of: "Callable[[tf.Tensor, Batch], tuple[tf.Tensor, tf.Tensor]]",
    batch: Batch,
    parts: int,
    variables: "Sequence[tf.Variable]",
    take: Callable[..., Batch] = slice_rows,
    loss_scale: "tf.Tensor | float" = 1.0,
) -> "tuple[list[tf.Tensor | None], tf.Tensor, tf.Tensor]":
    """`accumulated_gradients` for losses that compare the examples of a batch with each other.

    Such a loss cannot be computed slice by slice, because an example would be compared with fewer others. So this
    function first computes the vectors of all slices, then the gradient of the loss with respect to the vectors, and
    then runs each slice through the model again to propagate its part of the gradient (Gao et al. 2021,
    https://arxiv.org/abs/2101.06983, section 3.2). This takes one additional forward pass. With dropout, the random
    draws of the two passes differ.

    Args:
        vectors_of: Returns the vectors of a slice, [n, D]: the same number for each example, in the order of the
            examples.
        loss_of: Returns the sum of the losses of the whole batch, from all its vectors, float32 [n, D], and its divisor
            for the mean. It has no variables.
        batch: As in `accumulated_gradients`, like the other arguments.

    Returns:
        As `accumulated_gradients`.

    Example:
        >>> weight = tf.Variable(2.0)
        >>> gradients, total, count = accumulated_gradients_in_batch(
        ...     lambda part: weight * part["labels"],
        ...     lambda vectors, batch: (tf.reduce_sum(vectors @ tf.transpose(vectors)), 1.0),
        ...     {"labels": tf.constant([[1.0], [2.0], [6.0]])},
        ...     parts=2,
        ...     variables=[weight],
        ... )
        >>> float(gradients[0]), float(total)  # of weight² · (1 + 2 + 6)²
        (324.0, 324.0)
    """
    if parts == 1:
        return _gradients_at_once(vectors_of, loss_of, batch, variables, loss_scale)
    vectors = _vectors(vectors_of, batch, parts, take)
    with tf.GradientTape() as tape:
        tape.watch(vectors)
        total, count = loss_of(vectors, batch)
    count = tf.cast(count, tf.float32)
    upstream = tf.math.divide_no_nan(tape.gradient(total, vectors), sum_over_replicas(count))
    per_example = tf.shape(vectors)[0] // tf.maximum(_examples(batch), 1)

    def take_both(whole: Batch, begin, end) -> "tuple[Batch, tf.Tensor]":
        return take(whole, begin, end), upstream[begin * per_example : end * per_example]

    def term(part_and_upstream):
        part, gradient = part_and_upstream
        product = tf.reduce_sum(tf.cast(vectors_of(part), tf.float32) * gradient)
        return loss_scale * product, 1 / loss_scale, ()

    gradients, _ = _summed(term, batch, parts, variables, take_both, ())
    return gradients, total, count


def _gradients_at_once(vectors_of, loss_of, batch, variables, loss_scale):
    """The result of `accumulated_gradients_in_batch`, without the second forward pass."""
    with tf.GradientTape() as tape:
        total, count = loss_of(vectors_of(batch), batch)
        count = tf.cast(count, tf.float32)
        loss = loss_scale * tf.math.divide_no_nan(total, sum_over_replicas(count))
    gradients = tape.gradient(loss, list(variables))
    dense = [None if gradient is None else tf.convert_to_tensor(gradient) / loss_scale for gradient in gradients]
    return dense, total, count


def _summed(term, batch, parts, variables, take, figures):
    """The sums over the slices of factor · gradient and of the figures that `term` returns."""
    variables = list(variables)
    depends = [False] * len(variables)  # filled while the loop is traced

    def step(begin, end, state):
        sums, figures = state
        with tf.GradientTape() as tape:
            value, factor, new_figures = term(take(batch, begin, end))
        gradients = tape.gradient(value, variables)
        for number, gradient in enumerate(gradients):
            depends[number] |= gradient is not None
        sums = [_add(total, gradient, factor) for total, gradient in zip(sums, gradients, strict=True)]
        return sums, tf.nest.map_structure(tf.add, figures, new_figures)

    zeros = [tf.zeros_like(variable) for variable in variables]
    sums, figures = _over_slices(step, batch, parts, (zeros, figures))
    return [total if used else None for total, used in zip(sums, depends, strict=True)], figures


def _add(total, gradient, factor):
    if gradient is None:
        return total
    if isinstance(gradient, tf.IndexedSlices):
        return tf.tensor_scatter_nd_add(total, gradient.indices[:, tf.newaxis], factor * gradient.values)
    return total + factor * gradient


def _vectors(vectors_of, batch, parts, take):
    """The vectors of all slices, float32 [n, D]."""

    def step(begin, end, vectors):
        return vectors.write(vectors.size(), tf.cast(vectors_of(take(batch, begin, end)), tf.float32))

    vectors = tf.TensorArray(tf.float32, size=0, dynamic_size=True, infer_shape=False)
    return _over_slices(step, batch, parts, vectors).concat()


def _over_slices(step, batch, parts, state):
    """The state after `step(begin, end, state)` for each slice, one after the other, in the memory of one slice."""
    examples = _examples(batch)
    parts = tf.minimum(parts, examples)

    def body(part, state):
        return part + 1, step(examples * part // parts, examples * (part + 1) // parts, state)

    _, state = tf.while_loop(lambda part, _: part < parts, body, (tf.constant(0), state), parallel_iterations=1)
    return state


def _examples(batch: Batch) -> "tf.Tensor":
    return tf.shape(batch["labels"])[0]
