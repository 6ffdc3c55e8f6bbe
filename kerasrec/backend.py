"""TensorFlow, tf-keras and bert4keras for all modules and notebooks: patches, devices, precision, seeds.

All code that needs TensorFlow uses `from kerasrec.backend import tf, keras`, so that the environment variables that
choose Keras 2 are set before `tf.keras` is first used (`kerasrec.stack`). bert4keras is imported only on demand, so
code that does not need it also runs without it: `bert4keras` is the package, and `K` is Keras's backend with the
functions that bert4keras adds. Notebook code written for bert4keras uses

    from kerasrec.backend import K, keras, limit_gpu_memory

before its other imports, and `from bert4keras.models import build_transformer_model` as before: bert4keras is patched
when it is imported (`kerasrec.bert4keras_shims`), whether K is used or not.
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
    """Use one GPU only, and no more than `megabytes` of its memory.

    Call it before any other code uses a GPU: TensorFlow fixes the limit when it initialises the GPUs. On a machine
    without a GPU it warns and changes nothing, so that a notebook written for a GPU runs on a laptop.

    Args:
        megabytes: The limit in MiB.
        gpu: The index of the GPU among those that `CUDA_VISIBLE_DEVICES` leaves visible.

    Raises:
        KerasrecError: the machine has GPUs, but not this one, or TensorFlow has initialised them already.
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
            f"the memory limit of GPU {gpu} has to be set before TensorFlow first uses it: call limit_gpu_memory first"
        ) from error


def require_gpu(gpu: int) -> "tf.config.PhysicalDevice":
    """The GPU with this index.

    Raises:
        KerasrecError: there is no such GPU; the message names those of this machine.
    """
    gpus = tf.config.list_physical_devices("GPU")
    if not 0 <= gpu < len(gpus):
        there = f"GPU 0 to {len(gpus) - 1}" if gpus else "no GPU"
        raise KerasrecError(
            f"GPU {gpu} was asked for and this machine shows {there}: choose another GPU, or leave the option out to "
            "run on the CPU (CUDA_VISIBLE_DEVICES hides GPUs)"
        )
    return gpus[gpu]


def set_precision(precision: Precision) -> None:
    """Set the policy for new layers: variables are float32, and a mixed policy computes in the lower precision."""
    keras.mixed_precision.set_global_policy(precision)


def set_seed(seed: int) -> None:
    """Seed Python, NumPy and TensorFlow."""
    keras.utils.set_random_seed(seed)


def distribution() -> "tf.distribute.Strategy":
    """The strategy for the visible GPUs: mirrored over several GPUs, the default strategy for one GPU or none.

    It warns when `CUDA_VISIBLE_DEVICES` names GPUs and the machine has none of them.
    """
    wanted = os.environ.get("CUDA_VISIBLE_DEVICES", "")
    if wanted not in ("", "-1") and not tf.config.list_physical_devices("GPU"):
        warnings.warn(f"CUDA_VISIBLE_DEVICES is {wanted} and there is no such GPU: running on the CPU", stacklevel=2)
    if len(tf.config.list_logical_devices("GPU")) > 1:
        return tf.distribute.MirroredStrategy()
    return tf.distribute.get_strategy()
