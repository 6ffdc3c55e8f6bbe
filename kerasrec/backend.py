"""The one door to TensorFlow, tf_keras and bert4keras: versions, shims, devices, precision, seeds.

Everything in kerasrec that needs TensorFlow says `from kerasrec.backend import tf, keras`, so that the environment
variables that choose Keras 2 are set before `tf.keras` is first touched. bert4keras is imported only when it is asked
for, so that everything that can do without it works without it: `bert4keras` is the package, and `K` Keras's backend
functions with those that bert4keras adds. Notebook code written for bert4keras says

    from kerasrec.backend import K, keras, limit_gpu_memory

before its other imports, and `from bert4keras.models import build_transformer_model` and the like as before:
bert4keras is then patched when it is imported (`kerasrec.bert4keras_shims`), whether K is used or not.
"""

import contextlib
import os
import shutil
import sys
import tempfile
import warnings
from collections.abc import Iterator
from types import ModuleType
from typing import Literal

from kerasrec.errors import KerasrecError
from kerasrec.import_hook import after_import_of


def _mend(bert4keras: ModuleType) -> None:
    from kerasrec.bert4keras_shims import mend

    mend(bert4keras)


after_import_of("bert4keras", _mend)


@contextlib.contextmanager
def _without_start_up_messages() -> Iterator[None]:
    """Hold back what TensorFlow's C++ prints while it loads; print it after all if loading fails.

    It logs before any log level is in force, so that an error of one line would stand below six lines of noise.
    """
    # 3, because 2 still reports a missing driver as an error on every machine without a card.
    if os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3") != "3":
        yield  # whoever set another level wants to see what there is
        return
    with tempfile.TemporaryFile("w+") as held_back, contextlib.ExitStack() as on_failure:
        on_failure.callback(lambda: (held_back.seek(0), shutil.copyfileobj(held_back, sys.stderr)))
        stderr = os.dup(2)
        os.dup2(held_back.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)
        on_failure.pop_all()


os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")
os.environ.setdefault("TF_KERAS", "1")
with _without_start_up_messages():
    import tensorflow as tf

    _layer_module = tf.keras.layers.Layer.__module__  # the first touch, which loads Keras

if not _layer_module.startswith("tf_keras"):
    raise KerasrecError(
        "tf.keras is Keras 3 in this process and kerasrec needs Keras 2: import kerasrec before tf.keras is first "
        "used, or set TF_USE_LEGACY_KERAS=1 before Python starts"
    )

keras = tf.keras

Precision = Literal["float32", "mixed_bfloat16", "mixed_float16"]


def __getattr__(name: str) -> ModuleType:
    if name not in ("bert4keras", "K"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from kerasrec.bert4keras_shims import import_bert4keras

    package = import_bert4keras()
    return package if name == "bert4keras" else keras.backend


def limit_gpu_memory(megabytes: int, gpu: int = 0) -> None:
    """Use one graphics card only, and no more than `megabytes` of its memory.

    Call it before anything else touches the cards: TensorFlow fixes the limit when it initialises them. On a machine
    without any card it warns and changes nothing, so that a notebook written for a card runs on a laptop.

    Args:
        megabytes: The limit in MiB.
        gpu: The card's index among those that `CUDA_VISIBLE_DEVICES` leaves.

    Raises:
        KerasrecError: the machine has cards, but not this one, or TensorFlow has initialised them already.
    """
    cards = tf.config.list_physical_devices("GPU")
    if not cards:
        warnings.warn("this machine has no GPU: the memory limit changes nothing", stacklevel=2)
        return
    try:
        tf.config.set_visible_devices(require_gpu(gpu), "GPU")
        tf.config.set_logical_device_configuration(
            require_gpu(gpu), [tf.config.LogicalDeviceConfiguration(memory_limit=megabytes)]
        )
    except RuntimeError as error:
        raise KerasrecError(
            f"the memory limit of GPU {gpu} has to be set before TensorFlow first uses it: call limit_gpu_memory first"
        ) from error


def require_gpu(gpu: int) -> "tf.config.PhysicalDevice":
    """The card with this index.

    Raises:
        KerasrecError: there is no such card; the message names those there are.
    """
    cards = tf.config.list_physical_devices("GPU")
    if not 0 <= gpu < len(cards):
        there = f"GPU 0 to {len(cards) - 1}" if cards else "no GPU"
        raise KerasrecError(
            f"GPU {gpu} was asked for and this machine shows {there}: name another card, or leave the option out to "
            "run on the CPU (CUDA_VISIBLE_DEVICES hides cards)"
        )
    return cards[gpu]


def set_precision(precision: Precision) -> None:
    """Set the policy for layers made from now on: variables in float32, products in the lower precision if mixed."""
    keras.mixed_precision.set_global_policy(precision)


def set_seed(seed: int) -> None:
    """Seed Python, NumPy and TensorFlow."""
    keras.utils.set_random_seed(seed)


def distribution() -> "tf.distribute.Strategy":
    """The strategy for the visible cards: mirrored over several of them, the default one for one card or none.

    It warns when `CUDA_VISIBLE_DEVICES` names cards and none of them is there.
    """
    wanted = os.environ.get("CUDA_VISIBLE_DEVICES", "")
    if wanted not in ("", "-1") and not tf.config.list_physical_devices("GPU"):
        warnings.warn(f"CUDA_VISIBLE_DEVICES is {wanted} and there is no such GPU: running on the CPU", stacklevel=2)
    if len(tf.config.list_logical_devices("GPU")) > 1:
        return tf.distribute.MirroredStrategy()
    return tf.distribute.get_strategy()
