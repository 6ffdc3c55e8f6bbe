"""Weights of pretrained models, from Google's and Hugging Face's checkpoints; importing it loads no TensorFlow."""
