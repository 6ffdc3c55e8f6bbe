"""Read the shape of a pretrained BERT from its `bert_config.json` or `config.json`."""

from dataclasses import MISSING, fields
from pathlib import Path

from kerasrec.errors import KerasrecError, quoted
from kerasrec.nn.settings import BertConfig
from kerasrec.pretrained.json_file import read_object

CONFIGS = ("config.json", "bert_config.json")


def config_file(folder: Path) -> Path:
    """The file with the shape of the model in a checkpoint's folder.

    Raises:
        KerasrecError: there is no such file.
    """
    for name in CONFIGS:
        if (folder / name).is_file():
            return folder / name
    raise KerasrecError(f"{folder} has neither {' nor '.join(CONFIGS)}: put the checkpoint's own next to its weights")


def read_config(path: Path) -> BertConfig:
    """The shape of a BERT, from a file of Google or Hugging Face.

    Raises:
        KerasrecError: the file cannot be read, is not JSON or belongs to another kind of model, or a value is missing
            or invalid.
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
        raise KerasrecError(f"{path} lacks {', '.join(missing)}: give the complete configuration of a BERT")
    try:
        return BertConfig(**{name: content[name] for name in known if name in content})
    except KerasrecError as error:
        raise KerasrecError(f"{path}: {error}") from None
