"""Steps of the systems with models of width 8, by name, for tests of what happens to files."""

import json


def siamese(harness):
    _narrow(harness.config)
    harness.write("texts.txt", "where can i buy tea\nwhich shop sells rice\n")
    files = ("--train-file", harness.train_file, "--vocab-file", harness.vocab)
    small = ("--config-file", harness.config, "--batch-size", 12, "--max-length", 24, "--epochs", 1)
    vectors = ("--texts", harness.folder / "texts.txt", "--vectors", harness.folder / "vectors.npy")
    return {
        "prepare": ("prepare", "shop", *files),
        "train": ("train", "shop", *small),
        "encode": ("encode", "shop", *vectors),
        "export": ("export", "shop"),
    }


def sentence_pair(harness):
    _narrow(harness.config)
    harness.pairs.write_text("".join(harness.pairs.read_text().splitlines(keepends=True)[:40]))
    result = ("--predict-file", harness.valid, "--result-file", harness.folder / "result.csv")
    return {
        "train": harness.words_to_train("--num_train_epochs", 1),
        "predict": ("predict", "--output-dir", harness.output, *result),
        "export": ("export", "--output-dir", harness.output, "--export-path", harness.folder / "export"),
    }


def colarec(harness):
    only_codes = ("--no-content", "--index-weight", 0, "--ranking-weight", 0, "--contrastive-weight", 0)
    few = ("--epochs", 1, "--batch-size", 400, "--valid-users", 0)
    return {
        "prepare": ("prepare", *harness.files()),
        "identifiers": ("identifiers", "shop", "--source", "ready"),
        "train": ("train", "shop", *harness.SMALL, *only_codes, *few),
        "export": ("export", "shop", "--beam", 8),
    }


def anime(folder, users):
    """An import of the ratings of so many users for 30 titles, and a bad row."""
    titles = [f"{title},Title {title},Action,TV,12,7.5,1000" for title in range(1, 31)]
    rows = [f"{user},{title},8" for user in range(1, users + 1) for title in range(1, 31)]
    for name, header, lines in (
        ("anime.csv", "anime_id,name,genre,type,episodes,rating,members", titles),
        ("rating.csv", "user_id,anime_id,rating", [*rows, "1,2"]),
    ):
        (folder / name).write_text("\n".join([header, *lines]) + "\n")
    return {"import": ("import", "--titles", folder / "anime.csv", "--ratings", folder / "rating.csv")}


def _narrow(config):
    shape = {"hidden_size": 8, "intermediate_size": 8, "num_attention_heads": 1}
    config.write_text(json.dumps({**json.loads(config.read_text()), **shape}))
