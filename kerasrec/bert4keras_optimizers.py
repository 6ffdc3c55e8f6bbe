"""Patches for bert4keras 0.11.5's optimizers on tf-keras 2.21; `kerasrec.bert4keras_shims` applies them.

- The optimizers inherit from a class that Keras has moved to `optimizers.legacy`.
- `lr=` means `learning_rate`, also in Keras's own optimizers, which would ignore `lr` and use their default rate.
- bert4keras's AdaFactor creates a new variable for a given rate at each step, which fails; it also ignores `decay`.
- `extend_with_*` changes how bert4keras's optimizers update a variable. Keras's own optimizers update variables in
  another way, so the extension would do nothing.
- bert4keras's Lookahead starts its slow weights at 0, so the first step would halve the model's weights.
"""

import functools
import inspect
import warnings
from types import ModuleType

from kerasrec.errors import KerasrecError
from kerasrec.stack import keras, tf


def patch_optimizers() -> ModuleType:
    """Import `bert4keras.optimizers` for the first time and patch it; patch `lr` in Keras's own optimizers."""
    current = keras.optimizers.Optimizer
    keras.optimizers.Optimizer = keras.optimizers.legacy.Optimizer
    try:
        from bert4keras import optimizers
    finally:
        keras.optimizers.Optimizer = current
    for optimizer in (optimizers.Adam, optimizers.Lion, optimizers.AdaFactor, *_subclasses(current)):
        _accept_lr(optimizer)
    optimizers.AdaFactorBase.learning_rate = optimizers.AdaFactorBase.lr = property(_rate, _set_rate)
    optimizers.AdaFactor._decayed_lr = _decayed_rate
    for name, extend in list(vars(optimizers).items()):
        if name.startswith("extend_with_"):
            setattr(optimizers, name, _with_supported_base(optimizers, extend))
    optimizers.extend_with_lookahead = _starting_from_weights(optimizers.extend_with_lookahead)
    return optimizers


def _subclasses(base: type) -> list[type]:
    return [value for value in vars(keras.optimizers).values() if inspect.isclass(value) and base in value.__mro__[1:]]


def _accept_lr(optimizer: type) -> None:
    original = optimizer.__init__

    @functools.wraps(original)
    def __init__(self, *args, lr=None, **kwargs):
        if lr is not None:
            if args or "learning_rate" in kwargs:
                raise KerasrecError("lr and learning_rate are both given: give only learning_rate")
            kwargs["learning_rate"] = lr
        original(self, *args, **kwargs)

    optimizer.__init__ = __init__


def _rate(optimizer):
    """AdaFactor's learning rate: the given rate as one variable, or the paper's rate, which depends on the step.

    The paper is https://arxiv.org/abs/1804.04235.
    """
    if optimizer._learning_rate is None:
        rate = tf.minimum(tf.math.rsqrt(tf.cast(optimizer.iterations + 1, keras.backend.floatx())), 0.01)
        return rate if optimizer.multiply_by_parameter_scale else rate * 0.05
    if "_rate_variable" not in vars(optimizer):
        with tf.init_scope():
            optimizer._rate_variable = tf.Variable(
                optimizer._learning_rate, trainable=False, dtype=keras.backend.floatx(), name="learning_rate"
            )
    return optimizer._rate_variable


def _set_rate(optimizer, rate) -> None:
    if optimizer._learning_rate is None:
        optimizer._learning_rate = rate
    _rate(optimizer).assign(rate)


def _decayed_rate(optimizer, dtype):
    rate = tf.cast(_rate(optimizer), dtype)
    if optimizer._initial_decay > 0:
        rate /= 1.0 + optimizer._initial_decay * tf.cast(optimizer.iterations, dtype)
    return rate


def _with_supported_base(optimizers: ModuleType, extend):
    @functools.wraps(extend)
    def extended(BaseOptimizer, name=None):
        return extend(_base(optimizers, BaseOptimizer), name)

    return extended


def _base(optimizers: ModuleType, given: type) -> type:
    if given in (keras.optimizers.Adam, keras.optimizers.legacy.Adam):
        warnings.warn(
            "bert4keras cannot extend Keras's Adam: bert4keras's Adam is used, whose epsilon is 1e-6 instead of 1e-7",
            stacklevel=3,
        )
        return optimizers.Adam
    apply = getattr(given, "_resource_apply_dense", None)  # a user's optimizer may update variables as bert4keras does
    if apply is None or apply.__module__.startswith("tf_keras."):
        raise KerasrecError(
            f"{given.__name__} cannot be extended, because the extension would do nothing: use Adam, Lion or AdaFactor "
            "of bert4keras.optimizers"
        )
    return given


def _starting_from_weights(extend_with_lookahead):
    @functools.wraps(extend_with_lookahead)
    def extended(BaseOptimizer, name=None):
        optimizer = extend_with_lookahead(BaseOptimizer, name)
        create_slots = optimizer.__mro__[1]._create_slots

        def _create_slots(self, variables):
            create_slots(self, variables)
            for variable in variables:
                self.add_slot(variable, "slow_var", tf.identity(variable))

        optimizer._create_slots = _create_slots
        return optimizer

    return extended
