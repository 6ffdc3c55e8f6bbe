"""TensorFlow and tf-keras, loaded with the environment variables that they need.

`TF_USE_LEGACY_KERAS` and `TF_KERAS` choose Keras 2 for TensorFlow and bert4keras. They are set before `tf.keras` is
first used. All other modules import `tf` and `keras` from `kerasrec.backend`.
"""

import contextlib
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator

from kerasrec.errors import KerasrecError


@contextlib.contextmanager
def _without_start_up_messages() -> Iterator[None]:
    """Suppress the messages of TensorFlow's C++ code while it loads; print them if loading fails.

    TensorFlow logs before its log level takes effect, so six unrelated lines would precede a one-line error.
    """
    # At level 2, every machine without a GPU reports a missing driver as an error.
    if os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3") != "3":
        yield  # the user chose another level to see these messages
        return
    with tempfile.TemporaryFile("w+") as suppressed, contextlib.ExitStack() as on_failure:
        on_failure.callback(lambda: (suppressed.seek(0), shutil.copyfileobj(suppressed, sys.stderr)))
        stderr = os.dup(2)
        os.dup2(suppressed.fileno(), 2)
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

    _layer_module = tf.keras.layers.Layer.__module__  # the first use, which loads Keras

if not _layer_module.startswith("tf_keras"):
    raise KerasrecError(
        "tf.keras is Keras 3 in this process and kerasrec needs Keras 2: import kerasrec before tf.keras is first "
        "used, or set TF_USE_LEGACY_KERAS=1 before Python starts"
    )

keras = tf.keras
