import json

import numpy as np
import pytest

# Meanings that a person could tell apart by one word each; so a model can learn them from little.
NOUNS = ["tea", "coffee", "bread", "rice", "milk", "fish", "wine", "soup", "cake", "salt", "beer", "nuts"]
FRAMES = ["where can i buy {}", "which shop sells {}", "i want to get some {}", "{} for sale where"]
CONFIG = {
    "vocab_size": 100,  # replaced by the vocabulary's
    "hidden_size": 32,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 64,
    "max_position_embeddings": 40,
    "hidden_dropout_prob": 0.0,
    "attention_probs_dropout_prob": 0.0,
}


class CliHarness:
    """A folder with small files, in which commands are typed."""

    LONG = ("--epochs", 60, "--evaluate-every", 20, "--batch-size", 12)
    """A training that learns the groups."""

    def __init__(self, folder, command_line):
        self.folder = folder
        places = [f"--{kind}-path={folder / kind}" for kind in ("data", "output", "export")]
        line = command_line("siamese", after=lambda step: places)
        self.run, self.ok, self.error = line.run, line.ok, line.error
        groups = {noun: [frame.format(noun) for frame in FRAMES] for noun in NOUNS}
        words = sorted({word for texts in groups.values() for text in texts for word in text.split()})
        specials = ["[PAD]", "[unused1]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
        self.vocab = self.write("vocab.txt", "\n".join([*specials, *words]))
        self.config = self.write("bert_config.json", json.dumps(CONFIG))
        self.train_file = self.write("df_train.json", json.dumps({**groups, "alone": ["one text"]}))
        rng = np.random.default_rng(0)
        rows = []
        for number in range(60):
            one, other = rng.choice(NOUNS, 2, replace=False)
            label = number % 2
            nouns = (one, one if label else other)
            pair = [frame.format(noun) for frame, noun in zip(rng.choice(FRAMES, 2), nouns, strict=True)]
            rows.append("\t".join([*pair, str(label)]))
        self.valid = self.write("df_test.txt", "\n".join(rows[:40]) + "\n")
        self.test = self.write("test.txt", "\n".join(rows[40:]) + "\n")

    def write(self, name, text):
        (self.folder / name).write_text(text, encoding="utf-8")
        return self.folder / name

    def words_to_prepare(self, name="shop", *options):
        files = ("--vocab-file", self.vocab, "--valid-file", self.valid, "--test-file", self.test)
        return (name, "--train-file", self.train_file, *files, *options)

    def prepare(self, name="shop", *options):
        return self.ok("prepare", *self.words_to_prepare(name, *options))

    def train(self, name="shop", *options):
        small = ("--config-file", self.config, "--batch-size", 4, "--max-length", 24, "--learning-rate", 3e-3)
        return self.ok("train", name, *small, "--warmup-steps", 5, *options)


@pytest.fixture
def cli(tmp_path, command_line):
    return CliHarness(tmp_path, command_line)


@pytest.fixture(scope="session")
def trained_cli(tmp_path_factory, command_line):
    """A command line with a model in the run `run` that was trained for long enough; only to be read."""
    cli = CliHarness(tmp_path_factory.mktemp("siamese"), command_line)
    cli.prepared = cli.prepare("run")
    cli.train("run", *cli.LONG)
    return cli
