"""What a person may choose about models; imports no TensorFlow, so that a command line can be built from it."""

from dataclasses import dataclass

from kerasrec.errors import require


@dataclass(frozen=True)
class ItemModelSettings:
    """Shape of the model and weights of its losses.

    Raises:
        KerasrecError: a value lies outside its range.
    """

    hidden_size: int = 64
    """Width of the states and of the item embeddings."""
    num_layers: int = 2
    """Transformer blocks."""
    num_heads: int = 2
    """Attention heads; has to divide hidden_size."""
    dropout: float = 0.1
    """Share of the states dropped in training."""
    attention_dropout: float = 0.0
    """Share of the attention weights dropped in training."""
    masked_item_weight: float = 1.0
    """Weight of the masked-item loss."""
    seq2seq_weight: float = 0.0
    """Weight of the UniLM loss: each window's continuation, item by item, from its beginning."""
    similarity_weight: float = 0.0
    """Weight of the in-batch similarity of two differently masked views of one window."""

    def __post_init__(self):
        require(
            self.hidden_size >= 1 and self.num_heads >= 1 and self.hidden_size % self.num_heads == 0,
            "hidden_size",
            self.hidden_size,
            f"a multiple of num_heads, which is {self.num_heads}",
        )
        require(self.num_layers >= 1, "num_layers", self.num_layers, "at least 1")
        for name in ("dropout", "attention_dropout"):
            require(0 <= getattr(self, name) < 1, name, getattr(self, name), "from 0 to below 1")
        for name in ("masked_item_weight", "seq2seq_weight", "similarity_weight"):
            require(getattr(self, name) >= 0, name, getattr(self, name), "0 or more")
        weights = (self.masked_item_weight, self.seq2seq_weight, self.similarity_weight)
        require(any(weights), "the weights of the losses", weights, "above 0 for at least one")
