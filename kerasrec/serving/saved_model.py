"""Export a tf.Module for a model server as a numbered version, which exists only if it is complete."""

from collections.abc import Mapping
from pathlib import Path

from tensorflow_serving.apis.prediction_log_pb2 import PredictionLog  # pyright: ignore[reportAttributeAccessIssue]  made at run time

from kerasrec.backend import no_autograph, tf
from kerasrec.serving.versions import list_files, next_version

WARMUP = Path("assets.extra") / "tf_serving_warmup_requests"


def signature(**inputs):
    """A decorator for signatures, with the shape and dtype of each input.

    Example:
        >>> @signature(x=([None], tf.float32))
        ... def double(x):
        ...     return {"doubled": 2 * x}
        >>> double.input_signature
        (TensorSpec(shape=(None,), dtype=tf.float32, name='x'),)
    """
    specs = [tf.TensorSpec(*spec, name) for name, spec in inputs.items()]
    return lambda function: tf.function(no_autograph(function), input_signature=specs)


def export(
    module: "tf.Module",
    folder: Path,
    signatures: Mapping[str, "tf.types.experimental.PolymorphicFunction"],
    warmup: Mapping[str, Mapping[str, "tf.Tensor"]],
) -> Path:
    """Write the next version of a served model.

    Args:
        module: Has the variables, tables and functions to save.
        folder: The folder of versions, which are numbered folders from 1 on; a server loads the highest.
        signatures: Functions decorated with `signature`, by name. Do not trace them before, because saving traces them
            again.
        warmup: The inputs of a warm-up request, by signature. A server runs these requests before it accepts traffic.

    Returns:
        The version's folder.

    Raises:
        KerasrecError: the disk is full; the unfinished version is removed.
    """
    with next_version(folder) as (unfinished, version):
        tf.saved_model.save(module, str(unfinished), signatures=dict(signatures))
        (unfinished / WARMUP).parent.mkdir()
        with tf.io.TFRecordWriter(str(unfinished / WARMUP)) as writer:
            for name, inputs in warmup.items():
                writer.write(warmup_request(name, inputs))
        list_files(unfinished)
    return version


def warmup_request(name: str, inputs: Mapping[str, "tf.Tensor"]) -> bytes:
    """A serialised `tensorflow.serving.PredictionLog` with one request, from the signature's name and its inputs."""
    log = PredictionLog()
    request = log.predict_log.request
    request.model_spec.signature_name = name
    for argument, value in inputs.items():
        request.inputs[argument].CopyFrom(tf.make_tensor_proto(value))
    return log.SerializeToString(deterministic=True)
