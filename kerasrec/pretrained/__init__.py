"""Weights of a pretrained BERT, from Google's checkpoints and from Hugging Face's; importing it loads no TensorFlow."""

from kerasrec.pretrained.bert import PretrainedBert, open_bert

__all__ = ["PretrainedBert", "open_bert"]
