"""Subword tokenisation with SentencePiece, with a given model or a model that is trained on the texts."""

import io
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import sentencepiece

from kerasrec.errors import KerasrecError, reason
from kerasrec.workspace.atomic_files import replacing


class SubwordTokenizer:
    """A SentencePiece model (https://arxiv.org/abs/1808.06226), such as T5's `spiece.model`.

    Args:
        serialized: The bytes of the model.

    Raises:
        KerasrecError: the bytes are not a SentencePiece model.

    Example:
        >>> tokenizer = SubwordTokenizer.train(["a phone", "a case", "a phone case"] * 20, max_pieces=20)
        >>> offsets, ids = tokenizer.encode(["a phone", ""])
        >>> tokenizer.decode(ids), np.diff(offsets)[1].item()
        ('a phone', 0)
    """

    def __init__(self, serialized: bytes):
        self._serialized = serialized
        self._processor = sentencepiece.SentencePieceProcessor()
        try:
            self._processor.LoadFromSerializedProto(serialized)
        except RuntimeError:
            raise KerasrecError("not a SentencePiece model: give the spiece.model of a T5, or train a model") from None

    @classmethod
    def load(cls, path: str | os.PathLike) -> "SubwordTokenizer":
        """Read a `spiece.model`.

        Raises:
            KerasrecError: the file cannot be read, or is not a SentencePiece model.
        """
        try:
            return cls(Path(path).read_bytes())
        except OSError as error:
            raise KerasrecError(f"{path} cannot be read ({reason(error)})") from None
        except KerasrecError as error:
            raise KerasrecError(f"{path}: {error}") from None

    @classmethod
    def train(cls, texts: Iterable[str], max_pieces: int) -> "SubwordTokenizer":
        """Train a unigram model (https://arxiv.org/abs/1804.10959); the same texts give the same model.

        The special ids are those of T5: 0 is padding, 1 is the end, 2 is an unknown piece.

        Args:
            texts: The training texts.
            max_pieces: Maximum number of pieces; texts with few different words give fewer pieces.

        Raises:
            KerasrecError: there is no text, or `max_pieces` is smaller than the number of different characters.
        """
        model = io.BytesIO()
        texts = [text for text in texts if text.strip()]
        if not texts:
            raise KerasrecError("there is no text to train a tokenizer on: give items with content, or a tokenizer")
        try:
            sentencepiece.SentencePieceTrainer.Train(
                sentence_iterator=iter(texts),
                model_writer=model,
                vocab_size=max_pieces,
                hard_vocab_limit=False,
                # SentencePiece skips longer texts; 4,192 is the default.
                max_sentence_length=max(4192, *(len(text.encode()) for text in texts)),
                model_type="unigram",
                pad_id=0,
                eos_id=1,
                unk_id=2,
                bos_id=-1,
                num_threads=1,  # with several threads, the last digits of the pieces' scores differ between runs
                minloglevel=2,
            )
        except RuntimeError as error:
            why = str(error).strip().splitlines()[-1][:200]
            raise KerasrecError(
                f"a tokenizer of {max_pieces} pieces cannot be trained on these texts ({why}): allow more pieces"
            ) from None
        return cls(model.getvalue())

    def __len__(self) -> int:
        """Number of pieces."""
        return self._processor.GetPieceSize()

    def encode(self, texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """The piece ids of texts, without special ids.

        Args:
            texts: n texts.

        Returns:
            `offsets` int64 [n + 1] and `ids` int32 [N]; text `i` has the ids `ids[offsets[i] : offsets[i + 1]]`.
        """
        pieces = self._processor.Encode(list(texts))
        offsets = np.cumsum([0, *map(len, pieces)])
        return offsets, np.array([piece for text in pieces for piece in text], np.int32)

    def decode(self, ids: Iterable[int]) -> str:
        """The text of piece ids."""
        return self._processor.Decode([int(number) for number in ids])

    def save(self, path: str | os.PathLike) -> None:
        """Write the model as a `spiece.model`."""
        with replacing(path) as unfinished:
            unfinished.write_bytes(self._serialized)
