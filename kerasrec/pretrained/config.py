"""`bert_config.json` and `config.json`: the shape of a checkpoint's model."""

from dataclasses import MISSING, fields
from pathlib import Path

from kerasrec.errors import KerasrecError, quoted
from kerasrec.nn.settings import BertConfig
from kerasrec.pretrained.json_file import read_object

CONFIGS = ("config.json", "bert_config.json")


def config_file(folder: Path) -> Path:
    """The file in a checkpoint's folder that says the shape of its model.

    Raises:
        KerasrecError: there is none.
    """
    for name in CONFIGS:
        if (folder / name).is_file():
            return folder / name
    raise KerasrecError(f"{folder} holds neither {' nor '.join(CONFIGS)}: put the checkpoint's own beside its weights")


def read_config(path: Path) -> BertConfig:
    """The shape of a BERT, as Google or Hugging Face write it.

    Raises:
        KerasrecError: the file cannot be read or is not JSON, is of another kind of model, or a value is missing or
            wrong.
    """
    content = read_object(path)
    for name, only in (("model_type", "bert"), ("position_embedding_type", "absolute")):
        if content.get(name, only) != only:
            raise KerasrecError(
                f"{path}: {name} is {quoted(content[name])}; only checkpoints of {only!r} can be loaded"
            )
    known = [field.name for field in fields(BertConfig)]
    required = [field.name for field in fields(BertConfig) if field.default is MISSING]
    missing = [name for name in required if name not in content]
    if missing:
        raise KerasrecError(f"{path} does not say {', '.join(missing)}: it is no BERT's, or not whole")
    try:
        return BertConfig(**{name: content[name] for name in known if name in content})
    except KerasrecError as error:
        raise KerasrecError(f"{path}: {error}") from None
