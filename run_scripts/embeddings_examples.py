#!/usr/bin/env python3
"""Encode sentences with a trained two-sentence model, print the nearest sentences and draw a matrix of cosines."""

import argparse
import sys
from pathlib import Path

import own_python  # noqa: F401  before anything of kerasrec

from kerasrec.cli import exit_code
from kerasrec.console import say

SHOWN = 40  # a picture of more sentences is not readable
NEAREST = 3


def show(output_dir: Path, texts_file: Path, picture: Path) -> None:
    """Print the nearest neighbours of the first sentences of a file, and draw their cosines."""
    # Imported here, so that Ctrl-C also prints one line during the seconds in which TensorFlow loads.
    from kerasrec.sentence_pair.run import sentence_encoder
    from kerasrec.serving import similarity_matrix
    from kerasrec.serving.nearest import nearest, read_texts

    texts = read_texts(texts_file)
    vectors = sentence_encoder(output_dir).encode(texts)  # float32 [n, H], each of length 1
    say(f"{texts_file}: {len(texts):,} sentences, vectors of {vectors.shape[1]} numbers")
    cosines, rows = nearest(vectors, vectors[:SHOWN], NEAREST + 1)
    for own, text in enumerate(texts[:SHOWN]):
        say(f"\n{own + 1}  {text}")
        neighbours = [(cosine, row) for cosine, row in zip(cosines[own], rows[own], strict=True) if row != own]
        for cosine, row in neighbours[:NEAREST]:
            say(f"   {cosine:6.3f}  {texts[row]}")
    similarity_matrix.draw(picture, texts[:SHOWN], vectors[:SHOWN])
    say(f"\n{picture}: the cosines of the first {min(SHOWN, len(texts))} sentences")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "output_dir", type=Path, metavar="OUTPUT_DIR", help="folder of the trained model, or of a pretrained BERT"
    )
    parser.add_argument("texts_file", type=Path, metavar="TEXTS_FILE", help="file with one sentence per line")
    parser.add_argument(
        "picture", type=Path, nargs="?", metavar="PICTURE", help="PNG file; by default in the model's plots/"
    )
    arguments = parser.parse_args()
    picture = arguments.picture or arguments.output_dir / "plots" / "similarities.png"
    return exit_code(parser.prog, lambda: show(arguments.output_dir, arguments.texts_file, picture))


if __name__ == "__main__":
    sys.exit(main())
