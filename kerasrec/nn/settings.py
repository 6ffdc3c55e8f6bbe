"""What a person may choose about models; imports no TensorFlow, so that a command line can be built from it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class ItemModelSettings:
    """Shape of the model and weights of its losses."""

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
