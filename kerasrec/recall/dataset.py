"""What the first three steps left on disk, checked and opened for training and evaluation."""

import dataclasses
import logging
from collections import Counter
from collections.abc import Iterator
from contextlib import AbstractContextManager
from functools import cached_property
from pathlib import Path

import numpy as np

from kerasrec.backend import tf
from kerasrec.commands import command_line
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

PARTS_AT_A_TIME = 16  # in one pipeline: a pipeline of its own for each small part would take most of the time
SCORES_AT_A_TIME = 1 << 26  # bounds the memory of an evaluation: about 256 MB for a batch of scores


class PreparedData:
    """The vocabulary and the examples of a task.

    Args:
        task: The task.
        parts: The parts that are asked for; their examples have to be there. Examples of other parts that do not go
            with them are left out, and named.

    Raises:
        KerasrecError: a step is missing for one of the parts, its files are not whole, or were made from other events,
            from another vocabulary, or with other settings than the first part's.
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
        everything = Examples(f"{task.name}-all", folders=RunFolders(task.data.parent))
        with errors_name_file(
            manifest.path, f"write it again with `{command_line('kerasrec recall examples', everything)}`"
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
        """How figures on a split are made; by default with the task's rule for seen items."""
        filter_seen = self.filter_seen if filter_seen is None else filter_seen
        return Protocol(split, filter_seen, valid_share=self.settings.valid_share, **options)

    @property
    def filter_seen(self) -> bool:
        """Whether figures and lists leave seen items out: as in the task's training, else the default for the log."""
        path = self.trained_with_path
        if not (path.exists() or copy_of(path).exists()):
            return not self.repeats_are_common
        config = read_json(path, missing="")
        return config.get("filter_seen", True)  # earlier versions always filtered

    @property
    def trained_with_path(self) -> Path:
        """The file with the settings of the task's training."""
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

    def again(self, part: str) -> str:
        """The command that writes a part's examples again, with the settings of the first part in `parts`."""
        name, folders = f"{self.task.name}-{part}", RunFolders(self.task.data.parent)
        return command_line("kerasrec recall examples", Examples(name, folders=folders, examples=self.settings))

    def _problem(self, part: str, entry: dict) -> str | None:
        """Why a part's examples cannot be used with those of the first part that is asked for."""
        settings, again = ExampleSettings(**entry["settings"]), f": write them again with `{self.again(part)}`"
        if settings != self.settings:
            first = dataclasses.asdict(self.settings)
            differing = [name for name, value in dataclasses.asdict(settings).items() if value != first[name]]
            return (
                f"the examples of {part} and {self.parts[0]} were written with different {', '.join(differing)}{again}"
            )
        if entry["part"] != self._digests.get(part):
            return f"the examples of {part} were written before the log was split again{again}"
        size = entry["vocab_size"]
        if size > len(self.vocab) or self.vocab.digest(size) != entry["vocab"]:
            return f"the examples of {part} were written with another vocabulary than {self.task.vocab_path}{again}"
        try:
            require_intact(self.task.part_path(part), None, SPLITS)
            for split, file in entry["files"].items():
                require_size(self.task.tfrecord_path(part, split), file["bytes"], self.again(part))
        except KerasrecError as error:
            return str(error)
        return None

    def digest(self, part: str) -> str:
        """Content digest of a part's training file."""
        return self.entries[part]["files"]["train"]["digest"]

    def reading(self) -> AbstractContextManager[None]:
        """While files are read within it, a damaged one is an error that names it."""
        return errors_name_damaged_file(
            {
                self.task.tfrecord_path(part, split): self.again(part)
                for part in self.entries
                for split in ("train", "valid", "test")
            }
        )

    def rows(self, split: str, parts: list[str] | None = None) -> int:
        """Rows of the `train`, `valid` or `test` files of these parts; of those asked for by default."""
        return sum(self.entries[part]["files"][split]["rows"] for part in parts or self.parts)

    def files(self, split: str, parts: list[str]) -> list[Path]:
        """The `train`, `valid` or `test` files of these parts, after a check of their digests.

        Raises:
            KerasrecError: one is damaged.
        """
        paths = [self.task.tfrecord_path(part, split) for part in parts]
        digests = [self.entries[part]["files"][split]["digest"] for part in parts]
        return map_in_threads(require_intact, paths, digests, map(self.again, parts))

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
        """Steps of one pass over these parts together."""
        lengths = Counter()
        for part in parts:
            lengths.update({int(length): rows for length, rows in self.entries[part]["lengths"].items()})
        return steps_per_epoch(lengths, self.settings.max_seq_length, batch_size)

    def evaluation(
        self, split: str, parts: list[str], users: int | None = None
    ) -> Iterator[tuple["tf.data.Dataset", TokenHistories]]:
        """Rows and histories, for `rank_catalogue`.

        Args:
            split: `valid` or `test`.
            parts: Whose users.
            users: About so many rows over all these parts, the same ones every time; None takes all.

        Yields:
            Batches of rows of some parts, and the histories of their users before the targets.
        """
        batch_size = max(1, min(256, SCORES_AT_A_TIME // len(self.vocab)))
        every = 1 if users is None else max(1, round(self.rows(split, parts) / users))
        for begin in range(0, len(parts), PARTS_AT_A_TIME):
            some = parts[begin : begin + PARTS_AT_A_TIME]
            batches = evaluation_batches(self.files(split, some), self.settings, batch_size, every)
            histories = [self.histories(part, split) for part in some]
            if every > 1:  # they are kept while training goes on
                wanted = np.concatenate([np.zeros(0, np.int64), *(batch["info"] for batch in batches)])
                histories = [part.restricted_to(wanted) for part in histories]
            yield batches, TokenHistories.concatenated(histories)

    def histories(self, part: str, target: str) -> TokenHistories:
        """All that each user of a part saw before the `valid` or the `test` target."""
        [path] = checked_parts(self.task, [part])
        return histories_before(path, self.vocab, self.settings, target)

    def some_histories(self, most_events: int, what: str) -> TokenHistories:
        """Training histories of the first parts that hold so many events together, or of all parts.

        Users are dealt out to parts by a hash, so that these are users like all others.

        Args:
            most_events: Events.
            what: What is done with them, for the line that is printed when they are not all.
        """
        some = []
        for part in self.entries:
            if sum(len(histories.ids) for histories in some) >= most_events:
                logger.info(f"{what} on the users of {len(some)} of {len(self.entries)} parts")
                break
            some.append(self.histories(part, "valid"))
        return TokenHistories.concatenated(some)

    @cached_property
    def training_counts(self) -> np.ndarray:
        """How often each item stands in the training split of all parts with examples, int64 [V - 5]."""
        counts = np.zeros(len(self.vocab), np.int64)
        for part in self.entries:
            counts += np.bincount(self.histories(part, "valid").ids, minlength=len(self.vocab))
        return counts[FIRST_ITEM:]
