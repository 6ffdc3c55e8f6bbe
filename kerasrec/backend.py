"""TensorFlow, tf-keras and bert4keras for all modules and notebooks: patches, devices, precision, seeds.

All code that needs TensorFlow uses `from kerasrec.backend import tf, keras`. `kerasrec.stack` then sets the environment
variables that choose Keras 2 before `tf.keras` is first used. `bert4keras` is the package, and `K` is Keras's backend
with the functions that bert4keras adds. Both are imported on first use, so code that does not need bert4keras runs
without it. A notebook written for bert4keras adds

    from kerasrec.backend import K, keras, limit_gpu_memory

before its other imports and keeps lines such as `from bert4keras.models import build_transformer_model`:
`kerasrec.bert4keras_shims` patches bert4keras whenever it is imported, with or without `K`.
"""

import os
import warnings
from types import ModuleType
from typing import Literal

from kerasrec.bert4keras_shims import import_bert4keras, patch_bert4keras
from kerasrec.errors import KerasrecError
from kerasrec.import_hook import after_import_of
from kerasrec.stack import keras, tf

after_import_of("bert4keras", patch_bert4keras)

no_autograph = tf.autograph.experimental.do_not_convert
"""Decorates functions that TensorFlow traces.

AutoGraph would translate the source of all code that they call, which takes seconds in each new process. kerasrec does
not need it: it has no Python `if` or `for` over tensors.
"""

Precision = Literal["float32", "mixed_bfloat16", "mixed_float16"]


def __getattr__(name: str) -> ModuleType:
    if name not in ("bert4keras", "K"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    package = import_bert4keras()
    return package if name == "bert4keras" else keras.backend


def limit_gpu_memory(megabytes: int, gpu: int = 0) -> None:
    """Use only one GPU, and at most `megabytes` of its memory.

    Call this function before any code uses a GPU: TensorFlow fixes the limit when it initialises the GPUs. On a machine
    without a GPU the function only warns, so that a notebook written for a GPU also runs on a laptop.

    Args:
        megabytes: The limit in MiB.
        gpu: The index of the GPU among those that `CUDA_VISIBLE_DEVICES` leaves visible.

    Raises:
        KerasrecError: the machine has GPUs but none with this index, or TensorFlow has already initialised the GPUs.

    Example:
        >>> limit_gpu_memory(4 * 1024, gpu=1)  # doctest: +SKIP
    """
    gpus = tf.config.list_physical_devices("GPU")
    if not gpus:
        warnings.warn("this machine has no GPU: the memory limit changes nothing", stacklevel=2)
        return
    try:
        tf.config.set_visible_devices(require_gpu(gpu), "GPU")
        tf.config.set_logical_device_configuration(
            require_gpu(gpu), [tf.config.LogicalDeviceConfiguration(memory_limit=megabytes)]
        )
    except RuntimeError as error:
        raise KerasrecError(
            f"the memory limit of GPU {gpu} must be set before TensorFlow first uses the GPU: call limit_gpu_memory "
            "earlier"
        ) from error


def require_gpu(gpu: int) -> "tf.config.PhysicalDevice":
    """The GPU with this index.

    Raises:
        KerasrecError: there is no such GPU; the message lists the GPUs of this machine.
    """
    gpus = tf.config.list_physical_devices("GPU")
    if not 0 <= gpu < len(gpus):
        visible = f"GPU 0 to {len(gpus) - 1}" if gpus else "no GPU"
        raise KerasrecError(
            f"GPU {gpu} was requested, but this machine has {visible}: choose another GPU, or omit the option to run "
            "on the CPU (CUDA_VISIBLE_DEVICES hides GPUs)"
        )
    return gpus[gpu]


def set_precision(precision: Precision) -> None:
    """Set the precision of new layers. Variables are always float32; a mixed policy computes in 16 bits.

    Args:
        precision: `float32`, `mixed_bfloat16` or `mixed_float16`.
    """
    keras.mixed_precision.set_global_policy(precision)


def set_seed(seed: int) -> None:
    """Seed the random generators of Python, NumPy and TensorFlow."""
    keras.utils.set_random_seed(seed)


def distribution() -> "tf.distribute.Strategy":
    """The strategy for the visible GPUs: a mirrored strategy for several GPUs, otherwise the default strategy.

    The function warns when `CUDA_VISIBLE_DEVICES` lists GPUs and the machine has none of them.
    """
    requested = os.environ.get("CUDA_VISIBLE_DEVICES", "")
    if requested not in ("", "-1") and not tf.config.list_physical_devices("GPU"):
        warnings.warn(
            f"CUDA_VISIBLE_DEVICES is {requested}, but there is no such GPU: running on the CPU", stacklevel=2
        )
    if len(tf.config.list_logical_devices("GPU")) > 1:
        return tf.distribute.MirroredStrategy()
    return tf.distribute.get_strategy()
