"""The encoder in a pretrained BERT's folder, for vectors without further training."""

import logging
from pathlib import Path

from kerasrec.data.text.tokenizer import WordPieceTokenizer
from kerasrec.errors import KerasrecError
from kerasrec.nn.inference_encoder import InferenceEncoder, Pooling
from kerasrec.nn.transformer import text_encoder
from kerasrec.pretrained.bert import PretrainedBert, open_bert
from kerasrec.pretrained.json_file import read_object
from kerasrec.pretrained.vocabulary import Vocabulary
from kerasrec.serving.encoding import SentenceEncoder

logger = logging.getLogger(__name__)


def untrained_encoder(folder: Path) -> SentenceEncoder:
    """The encoder of a pretrained BERT, with mean pooling or the pooling of a sentence-transformers folder.

    Args:
        folder: Google's checkpoint or a Hugging Face folder, with its vocabulary.

    Raises:
        KerasrecError: as in `open_bert`; there is no vocabulary; the folder needs an unsupported pooling.
    """
    bert = open_bert(folder)
    if bert.vocabulary is None:
        raise KerasrecError(
            f"there is no vocabulary in {folder}: put the checkpoint's own vocab.txt or tokenizer.json there"
        )
    encoder = text_encoder(bert.config)
    bert.load_into(encoder)
    pooling, length = _pooling(folder), _length(folder, bert)
    lower_case = _lower_case(bert.vocabulary)
    logger.info(
        f"{folder} is a pretrained BERT, which was not trained here: vectors are "
        f"{'the mean of the tokens' if pooling == 'mean' else 'those of [CLS]'}, texts "
        f"{'are lower-cased' if lower_case else 'are not lower-cased'} and are cut to {length} tokens"
    )
    return SentenceEncoder(
        InferenceEncoder(encoder, pooling), WordPieceTokenizer(bert.vocabulary.tokens, lower_case), length
    )


def _pooling(folder: Path) -> Pooling:
    path = folder / "1_Pooling" / "config.json"
    if not path.exists():
        return "mean"
    modes = [name for name, value in read_object(path).items() if name.startswith("pooling_mode_") and value is True]
    known: dict[str, Pooling] = {"pooling_mode_mean_tokens": "mean", "pooling_mode_cls_token": "cls"}
    if len(modes) != 1 or modes[0] not in known:
        raise KerasrecError(
            f"{path} asks for {', '.join(modes) or 'no pooling'}; supported is one of {', '.join(known)}"
        )
    return known[modes[0]]


def _length(folder: Path, bert: PretrainedBert) -> int:
    """The longest row: the number of positions, or the length in a sentence-transformers folder."""
    path = folder / "sentence_bert_config.json"
    length = read_object(path).get("max_seq_length") if path.exists() else None
    positions = bert.config.max_position_embeddings
    return min(length, positions) if isinstance(length, int) and length >= 2 else positions


def _lower_case(vocabulary: Vocabulary) -> bool:
    """Whether texts are lower-cased: from the folder, else true if no token has a capital letter."""
    if vocabulary.lower_case is not None:
        return vocabulary.lower_case
    # without [CLS] and [unused1]
    words = [token for token in vocabulary.tokens if token.isascii() and not token.startswith("[")]
    return all(word == word.lower() for word in words)
