"""The step `encode`: the vectors of sentences to a .npy file."""

from kerasrec.command_text import command_line
from kerasrec.sentence_pair.run import sentence_encoder
from kerasrec.sentence_pair.settings import Encode
from kerasrec.serving.nearest import VectorsFile, read_texts, write_vectors


def encode(command: Encode) -> VectorsFile:
    """Write the vectors of a file's sentences to a .npy file."""
    texts = read_texts(command.texts)
    vectors = sentence_encoder(command.output_dir).encode(texts)
    return write_vectors(command.vectors, vectors, texts, command_line("kerasrec sentence-pair encode", command))
