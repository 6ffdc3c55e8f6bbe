"""Choose the devices of a process, before its model is built."""

import contextlib
from collections.abc import Iterator

from kerasrec.backend import keras, limit_gpu_memory, require_gpu, set_precision, set_seed, tf
from kerasrec.errors import KerasrecError
from kerasrec.training.settings import DeviceSettings


def use_devices(settings: DeviceSettings, seed: int) -> None:
    """Choose the GPU, its memory and the precision, and seed all random generators.

    Args:
        settings: The choices.
        seed: For Python, NumPy and TensorFlow.

    Raises:
        KerasrecError: there is no such GPU.
    """
    if settings.gpu is not None or settings.gpu_memory is not None:
        tf.config.set_visible_devices(require_gpu(settings.gpu or 0), "GPU")
        if settings.gpu_memory is not None:
            limit_gpu_memory(settings.gpu_memory, settings.gpu or 0)
    set_precision(settings.precision)
    set_seed(seed)


@contextlib.contextmanager
def restored_precision() -> Iterator[None]:
    """Restore the precision after the block, in which a training may choose another one.

    Models that are built afterwards then compute as in a new process.
    """
    policy = keras.mixed_precision.global_policy()
    try:
        yield
    finally:
        keras.mixed_precision.set_global_policy(policy)


def hide_gpus() -> None:
    """Use the CPU even if there are GPUs.

    Raises:
        KerasrecError: TensorFlow already uses the GPUs.
    """
    try:
        tf.config.set_visible_devices([], "GPU")
    except RuntimeError:
        raise KerasrecError(
            "TensorFlow already uses the GPUs, so the CPU cannot be chosen: restart Python with CUDA_VISIBLE_DEVICES=-1"
        ) from None
