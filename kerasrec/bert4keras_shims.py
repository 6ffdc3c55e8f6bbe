"""Patches with which bert4keras 0.11.5, and notebook code written for it, runs on TensorFlow 2.21 and tf-keras 2.21.

The patches are applied once per process, when any code first imports bert4keras after `kerasrec.backend`. Besides the
patches of `kerasrec.bert4keras_optimizers`, they fix these problems:

- initial weights: bert4keras gives the query, key, value and output kernels of a layer the same unseeded initializer.
  tf-keras returns the same values at each call of such an initializer, so the four kernels would start equal.
  bert4keras also uses the standard deviation 0.02 and ignores `initializer_range` in the configuration;
- `K.eye`: tf-keras creates a variable, which fails for a size that is known only when the graph runs;
- `Loss`: tf-keras sums a loss that is a vector, so the loss would grow with the batch size and outweigh other losses;
- lists of inputs: when a generator yields a list of two inputs (`DataGenerator.forfit` without a target, `fortest`),
  tf-keras reads it as an input and its target; it reads Python lists of numbers (`predict([[ids], [segments]])`) as
  one input;
- checkpoints: bert4keras does not load weights into frozen layers or save weights of frozen layers, and its
  `save_weights_as_checkpoint` needs a session;
- `.h5` files of whole models: tf-keras writes bert4keras's activations in a form that it cannot read;
- `build_transformer_model`: the patch refuses mixed precision, in which token ids would be rounded without an error;
- `strQ2B`: it needs Python 2.
"""

import contextlib
import functools
import inspect
import os
import sys
from collections.abc import Iterator
from types import ModuleType, SimpleNamespace
from typing import Any, TypeGuard

from kerasrec.bert4keras_optimizers import patch_optimizers
from kerasrec.errors import KerasrecError
from kerasrec.stack import keras, tf

BERT4KERAS_VERSION = "0.11.5"


def import_bert4keras() -> ModuleType:
    """The patched package.

    Raises:
        KerasrecError: bert4keras is not installed, or has another version.
    """
    try:
        import bert4keras
    except ModuleNotFoundError as error:
        if error.name == "bert4keras":
            raise KerasrecError(
                f"bert4keras is not installed: pip install --no-deps bert4keras=={BERT4KERAS_VERSION}"
            ) from None
        raise
    _require_version(bert4keras)
    return bert4keras


def patch_bert4keras(bert4keras: ModuleType) -> None:
    """Patch the package while it is imported.

    Args:
        bert4keras: The package.

    Raises:
        KerasrecError: the package has another version.
    """
    _require_version(bert4keras)
    _forget_keras_3()
    from bert4keras import backend, layers, models, snippets

    _patch_initial_weights(layers, models)
    keras.backend.eye = eye
    layers.Loss.add_loss = add_mean_loss
    snippets.DataGenerator.forfit = batches_for_fit
    keras.Model.predict = _with_lists_of_inputs(keras.Model.predict)
    models.Transformer.load_weights_from_checkpoint = _including_frozen_layers(
        models.Transformer.load_weights_from_checkpoint
    )
    models.Transformer.save_weights_as_checkpoint = save_weights_as_checkpoint
    for activation in (backend.gelu_erf, backend.gelu_tanh):
        # Keras stores functions of its own module by name, and bert4keras has registered these functions by name.
        setattr(inspect.getmodule(keras.activations.serialize), activation.__name__, activation)
    models.build_transformer_model = _requires_float32(models.build_transformer_model)
    snippets.strQ2B.__globals__["unichr"] = chr
    patch_optimizers()


def _require_version(bert4keras: ModuleType) -> None:
    if bert4keras.__version__ != BERT4KERAS_VERSION:
        raise KerasrecError(
            f"bert4keras {bert4keras.__version__} is installed and kerasrec needs {BERT4KERAS_VERSION}: "
            f"pip install --no-deps bert4keras=={BERT4KERAS_VERSION}"
        )


def _forget_keras_3() -> None:
    """Make `import keras.backend` find tf-keras, which bert4keras puts into `sys.modules['keras']`.

    TensorFlow loads Keras 3 if TensorFlow is imported before kerasrec has set the variable that chooses tf-keras.
    """
    for name in [name for name in sys.modules if name.startswith("keras.") and not name.startswith("keras.src")]:
        del sys.modules[name]


class TruncatedNormal(keras.initializers.TruncatedNormal):
    """Draws new truncated normal values at each call from TensorFlow's generator (`tf.random.set_seed`)."""

    def __call__(self, shape, dtype=None, **kwargs):
        return tf.random.truncated_normal(shape, self.mean, self.stddev, dtype or keras.backend.floatx())


def with_new_values_per_call(initializer):
    """An initializer that draws new values at each call; seeded or constant initializers are returned unchanged."""
    kind = type(initializer)
    if getattr(initializer, "seed", 0) is not None:
        return initializer

    def __call__(self, *args, **kwargs):
        return kind.from_config(self.get_config())(*args, **kwargs)

    names = {"__call__": __call__, "__module__": kind.__module__, "__qualname__": kind.__qualname__}
    return type(kind.__name__, (kind,), names).from_config(initializer.get_config())


def _patch_initial_weights(layers: Any, models: Any) -> None:
    known = vars(keras.initializers)
    layers.initializers = SimpleNamespace(
        **{**known, "get": lambda given: with_new_values_per_call(known["get"](given))}
    )
    original = models.Transformer.__init__

    @functools.wraps(original)
    def __init__(self, *args, initializer_range=0.02, **kwargs):
        self.initializer_range = initializer_range
        original(self, *args, **kwargs)

    models.Transformer.__init__ = __init__
    models.Transformer.initializer = property(lambda transformer: TruncatedNormal(stddev=transformer.initializer_range))


def eye(size, dtype=None, name=None) -> "tf.Tensor":
    """`K.eye`: the identity matrix [size, size]; `size` may be a tensor."""
    return tf.eye(size, dtype=dtype or keras.backend.floatx(), name=name)


def add_mean_loss(layer, loss, inputs=None) -> None:
    """`Loss.add_loss`: the mean over the batch, whether `compute_loss` returned a scalar or a vector."""
    keras.layers.Layer.add_loss(layer, tf.reduce_mean(loss))


def batches_for_fit(generator, random: bool = True) -> Iterator:
    """`DataGenerator.forfit`: an endless iterator of batches whose inputs are a tuple instead of a list."""
    while True:
        for batch in generator.__iter__(random):
            if isinstance(batch, tuple) and isinstance(batch[0], list):
                batch = (tuple(batch[0]), *batch[1:])
            yield batch


def _with_lists_of_inputs(predict):
    """`Model.predict` that reads a list with one element per input of the model as the inputs, as in Keras 2.3."""

    @functools.wraps(predict)
    def predict_inputs(self, x, *args, **kwargs):
        def is_inputs(given) -> TypeGuard[list]:
            return isinstance(given, list) and len(given) == len(getattr(self, "inputs", None) or ()) > 1

        if is_inputs(x) and all(isinstance(part, list) for part in x):
            x = [tf.convert_to_tensor(part) for part in x]
        elif inspect.isgenerator(x):
            x = ((tuple(batch),) if is_inputs(batch) else batch for batch in x)
        return predict(self, x, *args, **kwargs)

    return predict_inputs


@contextlib.contextmanager
def _thawed(transformer) -> Iterator[None]:
    """Make frozen layers trainable in the block, because bert4keras reads and writes only trainable weights."""
    frozen = [
        layer for layer in transformer.layers.values() if isinstance(layer, keras.layers.Layer) and not layer.trainable
    ]
    for layer in frozen:
        layer.trainable = True
    try:
        yield
    finally:
        for layer in frozen:
            layer.trainable = False


def _including_frozen_layers(load):
    @functools.wraps(load)
    def load_weights_from_checkpoint(self, checkpoint, mapping=None):
        with _thawed(self):
            load(self, checkpoint, mapping)

    return load_weights_from_checkpoint


def save_weights_as_checkpoint(transformer, filename, mapping=None, dtype=None) -> None:
    """Write a TensorFlow checkpoint with the variable names of Google's checkpoints.

    bert4keras's `load_weights_from_checkpoint` reads it.

    Args:
        transformer: A bert4keras `Transformer`.
        filename: The prefix of the checkpoint's files.
        mapping: Variable names by layer; by default `transformer.variable_mapping()`.
        dtype: The type of the stored values; by default Keras's float type.
    """
    mapping = mapping or transformer.variable_mapping()
    stored = {}
    with _thawed(transformer):
        for layer, names in mapping.items():
            if (layer := transformer.layers.get(transformer.prefixed(layer))) is not None:
                for name, weight in zip(names, layer.trainable_weights, strict=False):
                    _, value = transformer.create_variable(name, weight.numpy(), dtype)
                    stored[name] = tf.cast(value, dtype or keras.backend.floatx())
    os.makedirs(os.path.dirname(os.path.abspath(filename)), exist_ok=True)
    tf.raw_ops.SaveV2(
        prefix=str(filename),
        tensor_names=list(stored),
        shape_and_slices=[""] * len(stored),
        tensors=list(stored.values()),
    )


def _requires_float32(build):
    @functools.wraps(build)
    def build_transformer_model(*args, **kwargs):
        policy = keras.mixed_precision.global_policy().name
        if policy != "float32":
            raise KerasrecError(
                f"the precision is {policy}, but bert4keras's own models are correct only in float32: use float32, or "
                "build the model with kerasrec.nn.transformer.text_encoder"
            )
        return build(*args, **kwargs)

    return build_transformer_model
