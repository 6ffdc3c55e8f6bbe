"""The prepared data of a task, which the first three steps wrote, for training and evaluation."""

import dataclasses
import logging
from collections import Counter
from collections.abc import Iterator
from contextlib import AbstractContextManager
from functools import cached_property
from pathlib import Path

import numpy as np

from kerasrec.backend import tf
from kerasrec.command_text import command_line
from kerasrec.data.items.batches import TrainingObjectives, evaluation_batches, steps_per_epoch
from kerasrec.data.items.examples import TokenHistories, histories_before
from kerasrec.data.items.settings import ExampleSettings
from kerasrec.data.items.tfrecord import errors_name_damaged_file
from kerasrec.data.items.vocab import FIRST_ITEM, ItemVocab
from kerasrec.data.logs.parts import SPLITS, checked_parts
from kerasrec.data.logs.seen_items import repeats_are_common
from kerasrec.errors import KerasrecError
from kerasrec.evaluation.full_ranking import Protocol
from kerasrec.recall.settings import Examples
from kerasrec.workspace.digests import errors_name_file, map_in_threads, require_intact, require_size
from kerasrec.workspace.json_files import copy_of, read_json
from kerasrec.workspace.manifest import Manifest
from kerasrec.workspace.run_folders import RunFolders, Task

logger = logging.getLogger(__name__)

PARTS_AT_A_TIME = 16  # parts in one pipeline: with one pipeline per part, starting pipelines takes most of the time
SCORES_AT_A_TIME = 1 << 26  # bounds the memory of a batch of scores: 256 MB


class PreparedData:
    """The vocabulary and the examples of a task.

    Args:
        task: The task.
        parts: The parts to use; their examples must exist. Other parts whose examples do not fit are left out, and
            logged.

    Attributes:
        vocab: The vocabulary of the task.
        settings: The settings of the examples.
        entries: The manifest's entries of all parts with examples that fit.

    Raises:
        KerasrecError: a step is missing for one of the parts, its files are damaged, or they were written from other
            events, with another vocabulary, or with other settings than the files of the first part.

    Example:
        `kerasrec.ItemRecall.prepared` is one.
    """

    def __init__(self, task: Task, parts: list[str]):
        self.task = task
        self.parts = parts
        self.vocab = ItemVocab.load(task.vocab_path)
        manifest = Manifest(task.manifest_path)
        written = manifest.section("examples")
        if not parts:
            raise KerasrecError(f"there are no examples in {task.tfrecord_folder}: run kerasrec recall examples first")
        if missing := [part for part in parts if part not in written]:
            raise KerasrecError(
                f"there are no examples of {', '.join(missing)} in {task.tfrecord_folder}: run kerasrec recall examples"
            )
        all_examples = Examples(f"{task.name}-all", folders=RunFolders(task.data.parent))
        with errors_name_file(
            manifest.path, f"write it again with `{command_line('kerasrec recall examples', all_examples)}`"
        ):
            self._digests = {part: entry["digest"] for part, entry in manifest.section("parts").items()}
            self.settings = ExampleSettings(**written[parts[0]]["settings"])
            problems = {part: self._problem(part, entry) for part, entry in written.items()}
        if problem := next(filter(None, (problems[part] for part in parts)), None):
            raise KerasrecError(problem)
        self.entries = {part: entry for part, entry in written.items() if problems[part] is None}
        if left_out := [problem for problem in problems.values() if problem]:
            logger.info(f"left out: {'; '.join(left_out)}")

    def protocol(self, split: str, filter_seen: bool | None = None, **options) -> Protocol:
        """The protocol of figures on a split; by default with the task's rule for seen items."""
        filter_seen = self.filter_seen if filter_seen is None else filter_seen
        return Protocol(split, filter_seen, valid_share=self.settings.valid_share, **options)

    @property
    def filter_seen(self) -> bool:
        """Whether figures and lists leave seen items out: as in the task's training, else the log's default."""
        path = self.trained_with_path
        if not (path.exists() or copy_of(path).exists()):
            return not self.repeats_are_common
        config = read_json(path, missing="")
        return config.get("filter_seen", True)  # earlier versions always filtered

    @property
    def trained_with_path(self) -> Path:
        """Path of the file with the settings of the task's training."""
        return self.task.output / "config.json"

    @property
    def repeats_are_common(self) -> bool:
        """Whether more than 5% of the log's events are repeats."""
        return repeats_are_common(*self._repeats)

    @property
    def seen_rule(self) -> str:
        """`filter_seen` as a sentence, with the share of repeats."""
        repeats, events = self._repeats
        rule = "filtered" if self.filter_seen else "kept"
        return f"seen items are {rule}; {repeats / max(events, 1):.2%} of the log's events are repeats"

    @property
    def _repeats(self) -> tuple[int, int]:
        report = Manifest(self.task.manifest_path).section("split")
        return report.get("repeats", 0), report.get("events", 0)

    @staticmethod
    def written(task: Task) -> list[str]:
        """The parts that exist and have examples."""
        written = Manifest(task.manifest_path).section("examples")
        return [part for part in task.part_names() if part in written]

    def restore_command(self, part: str) -> str:
        """The command that writes the examples of a part again, with the settings of the first part of `parts`."""
        name, folders = f"{self.task.name}-{part}", RunFolders(self.task.data.parent)
        return command_line("kerasrec recall examples", Examples(name, folders=folders, examples=self.settings))

    def _problem(self, part: str, entry: dict) -> str | None:
        """The reason why the examples of a part do not fit those of the first part of `parts`; None if they fit."""
        settings, restore = (
            ExampleSettings(**entry["settings"]),
            f": write them again with `{self.restore_command(part)}`",
        )
        if settings != self.settings:
            first = dataclasses.asdict(self.settings)
            differing = [name for name, value in dataclasses.asdict(settings).items() if value != first[name]]
            names = ", ".join(differing)
            return f"the examples of {part} and {self.parts[0]} were written with different {names}{restore}"
        if entry["part"] != self._digests.get(part):
            return f"the examples of {part} were written before the log was split again{restore}"
        size = entry["vocab_size"]
        if size > len(self.vocab) or self.vocab.digest(size) != entry["vocab"]:
            return f"the examples of {part} were written with another vocabulary than {self.task.vocab_path}{restore}"
        try:
            require_intact(self.task.part_path(part), None, SPLITS)
            for split, file in entry["files"].items():
                require_size(self.task.tfrecord_path(part, split), file["bytes"], self.restore_command(part))
        except KerasrecError as error:
            return str(error)
        return None

    def digest(self, part: str) -> str:
        """Content digest of the training file of a part."""
        return self.entries[part]["files"]["train"]["digest"]

    def reading(self) -> AbstractContextManager[None]:
        """A context in which a damaged file raises an error that names the file."""
        return errors_name_damaged_file(
            {
                self.task.tfrecord_path(part, split): self.restore_command(part)
                for part in self.entries
                for split in ("train", "valid", "test")
            }
        )

    def rows(self, split: str, parts: list[str] | None = None) -> int:
        """Number of rows in the `train`, `valid` or `test` files of parts; by default of `parts`."""
        return sum(self.entries[part]["files"][split]["rows"] for part in parts or self.parts)

    def files(self, split: str, parts: list[str]) -> list[Path]:
        """Paths of the `train`, `valid` or `test` files of parts, after a check of their digests.

        Raises:
            KerasrecError: a file is damaged.
        """
        paths = [self.task.tfrecord_path(part, split) for part in parts]
        digests = [self.entries[part]["files"][split]["digest"] for part in parts]
        return map_in_threads(require_intact, paths, digests, map(self.restore_command, parts))

    def require_windows(self, objectives: TrainingObjectives) -> None:
        """Refuse statically masked examples for objectives that need whole windows.

        Raises:
            KerasrecError: the examples are masked already.
        """
        if objectives != TrainingObjectives() and self.settings.masking == "static":
            raise KerasrecError(
                "the causal objective and the seq2seq and similarity losses need whole windows, and these examples are "
                "masked already: write them with --masking dynamic"
            )

    def steps(self, parts: list[str], batch_size: int) -> int:
        """Number of steps in one pass over parts together."""
        lengths = Counter()
        for part in parts:
            lengths.update({int(length): rows for length, rows in self.entries[part]["lengths"].items()})
        return steps_per_epoch(lengths, self.settings.max_seq_length, batch_size)

    def evaluation(
        self, split: str, parts: list[str], users: int | None = None
    ) -> Iterator[tuple["tf.data.Dataset", TokenHistories]]:
        """Rows and histories for `rank_catalogue`.

        Args:
            split: `valid` or `test`.
            parts: The parts whose users are ranked.
            users: Approximate number of rows over all these parts, the same rows in each call; None for all rows.

        Yields:
            Batches of rows of some parts, and the histories of their users up to the targets.
        """
        batch_size = max(1, min(256, SCORES_AT_A_TIME // len(self.vocab)))
        every = 1 if users is None else max(1, round(self.rows(split, parts) / users))
        for begin in range(0, len(parts), PARTS_AT_A_TIME):
            some = parts[begin : begin + PARTS_AT_A_TIME]
            batches = evaluation_batches(self.files(split, some), self.settings, batch_size, every)
            histories = list(self.histories(some, split))
            if every > 1:  # a training keeps them in memory
                wanted = np.concatenate([np.zeros(0, np.int64), *(batch["info"] for batch in batches)])
                histories = [part.restricted_to(wanted) for part in histories]
            yield batches, TokenHistories.concatenated(histories)

    def histories(self, parts: list[str], target: str) -> Iterator[TokenHistories]:
        """For each part, the items of its users before the `valid` or the `test` target."""
        for begin in range(0, len(parts), PARTS_AT_A_TIME):  # each check reads the whole manifest
            for path in checked_parts(self.task, parts[begin : begin + PARTS_AT_A_TIME]):
                yield histories_before(path, self.vocab, self.settings, target)

    def some_histories(self, most_events: int, what: str) -> TokenHistories:
        """Training histories of the first parts that together have a number of events, or of all parts.

        A hash assigns users to parts, so these users are a random sample.

        Args:
            most_events: Number of events.
            what: What the histories are used for; logged if they are not all histories.
        """
        some = []
        for histories in self.histories(list(self.entries), "valid"):
            some.append(histories)
            if sum(len(part.ids) for part in some) >= most_events and len(some) < len(self.entries):
                logger.info(f"{what} on the users of {len(some)} of {len(self.entries)} parts")
                break
        return TokenHistories.concatenated(some)

    @cached_property
    def training_counts(self) -> np.ndarray:
        """Number of training events of each item over all parts with examples, int64 [V - 5]."""
        counts = np.zeros(len(self.vocab), np.int64)
        for histories in self.histories(list(self.entries), "valid"):
            counts += np.bincount(histories.ids, minlength=len(self.vocab))
        return counts[FIRST_ITEM:]
