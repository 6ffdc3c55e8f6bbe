"""Weights of pretrained models, from Google's and Hugging Face's checkpoints; importing it loads no TensorFlow."""

from kerasrec.pretrained.bert import PretrainedBert, open_bert

__all__ = ["PretrainedBert", "open_bert"]
