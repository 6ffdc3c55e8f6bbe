import json

import numpy as np
import pytest

CONFIG = {
    "vocab_size": 20,
    "hidden_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "max_position_embeddings": 24,
    "hidden_dropout_prob": 0.0,
    "attention_probs_dropout_prob": 0.0,
}
WORDS = ["red", "blue", "green", "one", "two", "three", "car", "boat"]
QUOTES = ["“", "”", "‘", "’", '"', "'", "，", "！"]


class CliHarness:
    """A folder with small files, in which commands are typed."""

    def __init__(self, folder, command_line):
        self.folder = folder
        self.output = folder / "output"
        line = command_line("sentence-pair")
        self.run, self.ok, self.error = line.run, line.ok, line.error
        self.vocab = self.write("vocab.txt", "\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS, *QUOTES]))
        self.config = self.write("bert_config.json", json.dumps(CONFIG))
        rng = np.random.default_rng(0)
        self.pairs = self.write("train.txt", "".join(self.row(rng) for _ in range(200)))
        self.valid = self.write("valid.txt", "".join(self.row(rng) for _ in range(40)))

    @staticmethod
    def row(rng):
        """Two sides of one to three sentences; class 1 where both speak of the same vehicle."""
        vehicles = rng.choice(["car", "boat"], 2)
        sides = [
            "||".join(f"{rng.choice(WORDS[:6])} {vehicle}" for _ in range(rng.integers(1, 4))) for vehicle in vehicles
        ]
        return "\t".join([*sides, str(int(vehicles[0] == vehicles[1])), "a name"]) + "\n"

    def write(self, name, text):
        (self.folder / name).write_text(text, encoding="utf-8")
        return self.folder / name

    def words_to_train(self, *options):
        """A training of a small model, with the flags that its users know."""
        model = ("--vocab_file", self.vocab, "--bert_config_file", self.config, "--do_lower_case")
        files = ("--train_file", self.pairs, "--eval_file", self.valid, "--output_dir", self.output)
        numbers = ("--max_seq_length", 12, "--train_batch_size", 20, "--learning_rate", 5e-3)
        return ("train", *model, *files, *numbers, "--do_train", *options)

    def train(self, *options):
        return self.ok(*self.words_to_train(*options))


@pytest.fixture
def cli(tmp_path, command_line):
    return CliHarness(tmp_path, command_line)
