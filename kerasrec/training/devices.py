"""What a process trains on, chosen before its model is built."""

from kerasrec.backend import limit_gpu_memory, require_gpu, set_precision, set_seed, tf
from kerasrec.errors import KerasrecError
from kerasrec.training.settings import DeviceSettings


def use_devices(settings: DeviceSettings, seed: int) -> None:
    """Choose the card, its memory and the precision, and seed everything that draws.

    Raises:
        KerasrecError: a card is asked for that is not there.
    """
    if settings.gpu is not None or settings.gpu_memory is not None:
        card = require_gpu(settings.gpu or 0)
        tf.config.set_visible_devices(card, "GPU")
        if settings.gpu_memory is not None:
            limit_gpu_memory(settings.gpu_memory, settings.gpu or 0)
    set_precision(settings.precision)
    set_seed(seed)


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
