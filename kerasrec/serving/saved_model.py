"""Write a tf.Module as a version for a model server: signatures, assets, warm-up requests, all or nothing."""

import shutil
from collections.abc import Mapping
from pathlib import Path

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, wrappers_pb2

from kerasrec.backend import no_autograph, tf
from kerasrec.serving.versions import list_files, version_numbers
from kerasrec.workspace.atomic_files import writing

WARMUP = Path("assets.extra") / "tf_serving_warmup_requests"


def signature(**inputs):
    """Decorates what a server offers, with shape and dtype of each input: `@signature(texts=([None], tf.string))`."""
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
        module: Holds the variables, tables and functions that are to be saved.
        folder: Versions are numbered folders in it, from 1; a server takes the highest.
        signatures: By name, what `signature` decorates; functions that were called before are traced again when saved.
        warmup: For each signature to be warmed up, the inputs of a request, with which a server runs the model once
            before it takes traffic.

    Returns:
        The version's folder.

    Raises:
        KerasrecError: the disk is full; no version is left behind.
    """
    folder.mkdir(parents=True, exist_ok=True)
    version = folder / str(max(version_numbers(folder), default=0) + 1)
    unfinished = folder / f".{version.name}.unfinished"
    shutil.rmtree(unfinished, ignore_errors=True)
    try:
        with writing(version):
            tf.saved_model.save(module, str(unfinished), signatures=dict(signatures))
            (unfinished / WARMUP).parent.mkdir()
            with tf.io.TFRecordWriter(str(unfinished / WARMUP)) as writer:
                for signature, inputs in warmup.items():
                    writer.write(warmup_request(signature, inputs))
            list_files(unfinished)
        unfinished.rename(version)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return version


def warmup_request(signature: str, inputs: Mapping[str, "tf.Tensor"]) -> bytes:
    """A serialised `tensorflow.serving.PredictionLog` with one `PredictRequest`."""
    log = _PredictionLog()
    request = log.predict_log.request
    request.model_spec.signature_name = signature
    for name, value in inputs.items():
        request.inputs[name].CopyFrom(tf.make_tensor_proto(value))
    return log.SerializeToString(deterministic=True)


def _prediction_log_class():
    """The part of TensorFlow Serving's prediction_log.proto that a predict request needs.

    The package that carries the whole of it pins its own TensorFlow.
    """
    fields = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(
        name="kerasrec/prediction_log.proto",
        package="kerasrec.serving",
        syntax="proto3",
        dependency=[tf.make_tensor_proto(0).DESCRIPTOR.file.name, wrappers_pb2.DESCRIPTOR.name],
    )

    def message(name, *members):
        added = file.message_type.add(name=name)
        for field_name, number, kind in members:
            field = added.field.add(name=field_name, number=number, label=fields.LABEL_OPTIONAL)
            if kind is str:
                field.type = fields.TYPE_STRING
            else:
                field.type, field.type_name = fields.TYPE_MESSAGE, kind
        return added

    message("ModelSpec", ("name", 1, str), ("version", 2, ".google.protobuf.Int64Value"), ("signature_name", 3, str))
    request = message("PredictRequest", ("model_spec", 1, ".kerasrec.serving.ModelSpec"))
    entry = request.nested_type.add(name="InputsEntry")
    entry.options.map_entry = True
    entry.field.add(name="key", number=1, label=fields.LABEL_OPTIONAL, type=fields.TYPE_STRING)
    entry.field.add(
        name="value",
        number=2,
        label=fields.LABEL_OPTIONAL,
        type=fields.TYPE_MESSAGE,
        type_name=".tensorflow.TensorProto",
    )
    request.field.add(
        name="inputs",
        number=2,
        label=fields.LABEL_REPEATED,
        type=fields.TYPE_MESSAGE,
        type_name=".kerasrec.serving.PredictRequest.InputsEntry",
    )
    message("PredictLog", ("request", 1, ".kerasrec.serving.PredictRequest"))
    message("PredictionLog", ("predict_log", 6, ".kerasrec.serving.PredictLog"))
    pool = descriptor_pool.Default()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("kerasrec.serving.PredictionLog"))


_PredictionLog = _prediction_log_class()
