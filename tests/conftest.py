import contextlib
import fcntl
import gc
import io
import json
import logging
import os
import re
import shutil
import signal
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy
from hypothesis import settings

from kerasrec.backend import keras, tf
from kerasrec.cli import main
from kerasrec.signals import SIGNALS
from tests import fork_server

settings.register_profile("kerasrec", deadline=None)  # a busy machine is slow, not wrong
settings.load_profile("kerasrec")


def pytest_collection_modifyitems(items):
    """Files with slow tests come first, so that none of them begins when the other worker is about to end."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


def pytest_configure(config):
    config.pluginmanager.register(EveryTest())


class EveryTest:
    """Hooks for all tests; those of a conftest.py are not called for the examples in docstrings."""

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item):
        """Every test draws the same numbers in every run, also for the fixtures that it is the first to use. Tests with
        the marker `eager`, and examples in docstrings, run TensorFlow's functions without graphs."""
        keras.utils.set_random_seed(0)
        is_eager = isinstance(item, pytest.DoctestItem) or item.get_closest_marker("eager") is not None
        tf.config.run_functions_eagerly(is_eager)

    def pytest_runtest_teardown(self, item, nextitem):
        """TensorFlow keeps many objects of a test for ever; the garbage collector does not look at them again."""
        if nextitem is None or nextitem.path != item.path:
            gc.collect()
            gc.freeze()

    def pytest_sessionfinish(self):
        gc.unfreeze()  # libraries report objects that are left at the end


@pytest.fixture(scope="session")
def kerasrec_data() -> Path:
    """The folder of real data sets that are not part of the project."""
    folder = os.environ.get("KERASREC_DATA")
    if not folder:
        pytest.skip("needs real data: set KERASREC_DATA to the folder that holds it")
    if not Path(folder).is_dir():
        pytest.fail(f"KERASREC_DATA is {folder}, which is not a folder")
    return Path(folder).resolve()


@pytest.fixture(scope="session")
def made_once(tmp_path_factory):
    """`made_once(name, make)`: a folder that `make(folder)` fills once for all workers; only to be read or copied."""
    base = tmp_path_factory.getbasetemp()
    shared = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "made-once"
    shared.mkdir(exist_ok=True)

    def made(name, make):
        eager = tf.config.functions_run_eagerly()
        folder, finished = shared / name, shared / f"{name}.finished"
        with open(shared / f"{name}.lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not finished.exists():
                shutil.rmtree(folder, ignore_errors=True)  # of a worker that failed
                folder.mkdir()
                tf.config.run_functions_eagerly(False)  # whichever test comes first
                keras.utils.set_random_seed(0)
                make(folder)
                keras.utils.set_random_seed(0)
                tf.config.run_functions_eagerly(eager)
                finished.touch()
        return folder

    return made


@pytest.fixture(scope="session")
def python(made_once):
    """A program that runs as Python does, without the seconds that TensorFlow takes to import (`tests/fork_server`)."""
    owner = os.getppid() if "PYTEST_XDIST_WORKER" in os.environ else os.getpid()
    return made_once("python", lambda folder: fork_server.start(folder, owner)) / "python"


@pytest.fixture(scope="module")
def exports_loaded_once():
    """TensorFlow loads each export once for a module; its files are still checked each time."""
    load, loaded = tf.saved_model.load, {}

    def load_once(path):
        key = path, os.stat(Path(path) / "saved_model.pb").st_mtime_ns
        if key not in loaded:
            loaded[key] = load(path)
        return loaded[key]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tf.saved_model, "load", load_once)
        yield


@pytest.fixture
def default_signals():
    """Signals as in the foreground: `nohup` and the background of a shell make all tests ignore some of them."""
    handlers = dict.fromkeys(SIGNALS, signal.SIG_DFL) | {signal.SIGINT: signal.default_int_handler}
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    yield handlers
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture(autouse=True)
def kerasrec_logger():
    """Every test starts with the logger that kerasrec has after its import, and leaves it so."""
    logger = logging.getLogger("kerasrec")
    before = logger.handlers[:], logger.level, logger.propagate
    yield
    logger.handlers[:], level, logger.propagate = before
    logger.setLevel(level)


@pytest.fixture
def logged(caplog):
    """What kerasrec has logged so far in a test, as `logged()`."""
    caplog.set_level(logging.INFO, "kerasrec")
    return lambda: "".join(
        f"{record.getMessage()}\n" for record in caplog.records if record.name.split(".")[0] == "kerasrec"
    )


TIME = re.compile(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d  ", re.MULTILINE)
"""The time in front of a line of the log that does not go to a terminal."""


class CommandLine:
    """Types the steps of one system, and looks at what they print."""

    def __init__(self, system, after=lambda step: ()):
        self.system = system
        self.after = after  # gives the words behind those of a step

    def words(self, step, *words):
        """A whole command line."""
        return [self.system, step, *map(str, words), *self.after(step)]

    def run(self, *words):
        """Exit code, standard output and standard error of a command line."""
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = main(self.words(*words))
        return code, TIME.sub("", out.getvalue()), err.getvalue()

    def ok(self, *words):
        """Standard output of a command line that has to end well."""
        code, out, err = self.run(*words)
        assert code == 0, err
        return out

    def error(self, *words):
        """The one line of a command line that has to end with exit code 2."""
        code, _, err = self.run(*words)
        assert code == 2, f"exit code {code}: {err}"
        [line] = err.strip().splitlines()
        return line


@pytest.fixture(scope="session")
def command_line():
    """`command_line(system)` types the steps of a system."""
    return CommandLine


class T5Files:
    """Folders as Hugging Face has them, of a T5 whose weights follow from a formula."""

    CONFIG = {
        "model_type": "t5",
        "vocab_size": 11,
        "d_model": 8,
        "d_kv": 3,
        "d_ff": 12,
        "num_layers": 2,
        "num_decoder_layers": 1,
        "num_heads": 2,
        "dropout_rate": 0.0,
        "relative_attention_num_buckets": 8,
        "relative_attention_max_distance": 16,
    }

    def weights(self, projection="relu", vocab_size=11):
        """Tensors by the names that transformers gives them."""
        found = {}
        for name, shape in self._shapes(projection, vocab_size).items():
            waves = np.sin(np.arange(np.prod(shape)) * 0.37 + sum(map(ord, name)) % 97).reshape(shape)
            found[name] = (waves * 0.2 + 1 if "norm" in name else waves * 0.6).astype(np.float32)
        return found

    def folder(self, path, tensors, **config):
        """Write them to a folder."""
        safetensors.numpy.save_file(tensors, path / "model.safetensors")
        (path / "config.json").write_text(json.dumps(self.CONFIG | config), encoding="utf-8")
        return path

    @staticmethod
    def _shapes(projection, vocab_size):
        found = {"shared.weight": (vocab_size, 8)}
        for side, blocks in (("encoder", 2), ("decoder", 1)):
            found[f"{side}.block.0.layer.0.SelfAttention.relative_attention_bias.weight"] = (8, 2)
            found[f"{side}.final_layer_norm.weight"] = (8,)
            for block in range(blocks):
                attentions = ["SelfAttention"] if side == "encoder" else ["SelfAttention", "EncDecAttention"]
                for number, attention in enumerate(attentions):
                    layer = f"{side}.block.{block}.layer.{number}"
                    found |= {f"{layer}.{attention}.{part}.weight": (6, 8) for part in "qkv"}
                    found[f"{layer}.{attention}.o.weight"] = (8, 6)
                    found[f"{layer}.layer_norm.weight"] = (8,)
                layer = f"{side}.block.{block}.layer.{len(attentions)}"
                for name in ["wi"] if projection == "relu" else ["wi_0", "wi_1"]:
                    found[f"{layer}.DenseReluDense.{name}.weight"] = (12, 8)
                found[f"{layer}.DenseReluDense.wo.weight"] = (8, 12)
                found[f"{layer}.layer_norm.weight"] = (8,)
        return found


@pytest.fixture(scope="session")
def t5_files():
    return T5Files()
