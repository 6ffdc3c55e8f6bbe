"""What bert4keras 0.11.5 needs so that it, and notebook code written for it, runs on TensorFlow 2.21 and tf-keras 2.21.

Ask `kerasrec.backend` for `bert4keras` or `K` and all of this is done, once, for the whole process; a notebook then
imports from `bert4keras.models`, `bert4keras.optimizers` and so on as it always did. What is mended:

- initial weights: bert4keras gives the query, key, value and output kernels of a layer one unseeded initializer, and
  tf-keras returns the same values each time such an initializer is called, so that the four start equal;
- `K.eye`: tf-keras makes a variable of it, which fails with a size that is known only when the graph runs;
- `Loss`: tf-keras adds up a loss that is a vector, so that it would grow with the batch and drown the losses beside it;
- `DataGenerator.forfit`: tf-keras takes a list of two inputs without a target for one input and its target;
- `bert4keras.optimizers`: its classes stand on the optimizer class that Keras has moved to `optimizers.legacy`;
- `build_transformer_model`: it refuses mixed precision, in which token ids would be rounded without a word.
"""

import contextlib
import functools
import sys
from collections.abc import Iterator
from types import ModuleType

from kerasrec.backend import keras, tf
from kerasrec.errors import KerasrecError

BERT4KERAS_VERSION = "0.11.5"


def import_bert4keras() -> ModuleType:
    """The package, mended.

    Raises:
        KerasrecError: it is not installed, or in another version, or was imported on its own before.
    """
    if not getattr(sys.modules.get("bert4keras.backend"), "is_tf_keras", True):
        raise KerasrecError(
            "bert4keras was imported before kerasrec and runs on another Keras in this process: start it again and "
            "import kerasrec.backend first"
        )
    _forget_keras_3()
    try:
        import bert4keras
        import bert4keras.models
    except ModuleNotFoundError as error:
        if error.name == "bert4keras":
            raise KerasrecError(
                f"bert4keras is not installed: pip install --no-deps bert4keras=={BERT4KERAS_VERSION}"
            ) from None
        raise
    if bert4keras.__version__ != BERT4KERAS_VERSION:
        raise KerasrecError(
            f"bert4keras {bert4keras.__version__} is installed and kerasrec needs {BERT4KERAS_VERSION}: "
            f"pip install --no-deps bert4keras=={BERT4KERAS_VERSION}"
        )
    _mend()
    return bert4keras


def _forget_keras_3() -> None:
    """Let `import keras.backend` find tf-keras, as bert4keras expects of `sys.modules['keras']`.

    TensorFlow loads Keras 3 when it is itself imported before kerasrec has set the variable that chooses tf-keras.
    """
    if "bert4keras" not in sys.modules:
        for name in [name for name in sys.modules if name.startswith("keras.") and not name.startswith("keras.src")]:
            del sys.modules[name]


class TruncatedNormal(keras.initializers.TruncatedNormal):
    """Truncated normal values, drawn anew at every call from TensorFlow's generator (`tf.random.set_seed`)."""

    def __call__(self, shape, dtype=None, **kwargs):
        return tf.random.truncated_normal(shape, self.mean, self.stddev, dtype or keras.backend.floatx())


def eye(size, dtype=None, name=None) -> "tf.Tensor":
    """`K.eye`: the identity matrix [size, size]; `size` may be a tensor."""
    return tf.eye(size, dtype=dtype or keras.backend.floatx(), name=name)


def add_mean_loss(layer, loss, inputs=None) -> None:
    """`Loss.add_loss`: the mean over the batch, whether `compute_loss` returned a scalar or a vector."""
    keras.layers.Layer.add_loss(layer, tf.reduce_mean(loss))


def batches_for_fit(generator, random: bool = True) -> Iterator:
    """`DataGenerator.forfit`: the batches for ever, the inputs of a batch as a tuple instead of a list."""
    while True:
        for batch in generator.__iter__(random):
            if isinstance(batch, tuple) and isinstance(batch[0], list):
                batch = (tuple(batch[0]), *batch[1:])
            yield batch


@functools.cache
def _mend() -> None:
    """Exchange what does not hold up; the cache makes it happen once."""
    from bert4keras import layers, models
    from bert4keras.snippets import DataGenerator

    models.Transformer.initializer = property(lambda transformer: TruncatedNormal(stddev=0.02))
    keras.backend.eye = eye
    layers.Loss.add_loss = add_mean_loss
    DataGenerator.forfit = batches_for_fit
    models.build_transformer_model = _in_float32_only(models.build_transformer_model)
    with _legacy_optimizer():
        import bert4keras.optimizers  # noqa: F401


def _in_float32_only(build):
    @functools.wraps(build)
    def build_transformer_model(*args, **kwargs):
        policy = keras.mixed_precision.global_policy().name
        if policy != "float32":
            raise KerasrecError(
                f"the precision is {policy} and bert4keras's own models are right in float32 only: leave it at "
                "float32, or build the model with kerasrec.nn.transformer.text_encoder"
            )
        return build(*args, **kwargs)

    return build_transformer_model


@contextlib.contextmanager
def _legacy_optimizer() -> Iterator[None]:
    current = keras.optimizers.Optimizer
    keras.optimizers.Optimizer = keras.optimizers.legacy.Optimizer
    try:
        yield
    finally:
        keras.optimizers.Optimizer = current
