"""Convert the histories of a part into training, validation and test examples."""

import dataclasses
import functools
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow.compute as pc

from kerasrec.backend import no_autograph, tf
from kerasrec.data.items import masking, splits, tfrecord
from kerasrec.data.items.settings import ExampleSettings
from kerasrec.data.items.vocab import FIRST_ITEM, MASK, UNK, ItemVocab
from kerasrec.data.logs.parts import SPLITS, read_part
from kerasrec.workspace.digests import content_digest
from kerasrec.workspace.tables import read_parquet

ROWS_PER_BATCH = 2048  # the byte matrices of this number of rows fit into a processor's cache


class TokenHistories(NamedTuple):
    """The concatenated histories of users, as token ids: user `u` has `ids[offsets[u] : offsets[u + 1]]`.

    Attributes:
        users: int64 `[U]`, user numbers, ascending.
        offsets: int64 `[U + 1]`.
        ids: int32 `[N]`, in time order; items that are not in the vocabulary are `[UNK]`.

    Example:
        >>> histories = TokenHistories(np.array([3, 8]), np.array([0, 2, 3]), np.array([5, 6, 7], np.int32))
        >>> offsets, ids = histories.for_users(np.array([8, 4]))
        >>> offsets.tolist(), ids.tolist()
        ([0, 1, 1], [7])
    """

    users: np.ndarray
    offsets: np.ndarray
    ids: np.ndarray

    def for_users(self, users: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The histories of some users; unknown users have empty histories.

        Args:
            users: int64 `[B]` user numbers.

        Returns:
            `offsets` int64 `[B + 1]` and `ids` int32 `[n]`.
        """
        if not len(self.users):
            return np.zeros(len(users) + 1, np.int64), self.ids
        rows = np.minimum(np.searchsorted(self.users, users), len(self.users) - 1)
        return self._at(rows, self.users[rows] == users)

    def _at(self, rows: np.ndarray, known: np.ndarray | bool = True) -> tuple[np.ndarray, np.ndarray]:
        begins = self.offsets[rows]
        lengths = np.where(known, self.offsets[rows + 1] - begins, 0)
        offsets = np.concatenate([[0], np.cumsum(lengths)])
        within = np.arange(offsets[-1]) - np.repeat(offsets[:-1], lengths)
        return offsets, self.ids[np.repeat(begins, lengths) + within]

    def restricted_to(self, users: np.ndarray) -> "TokenHistories":
        """The histories of some users, int64 `[n]`; unknown users are ignored."""
        users = np.intersect1d(users, self.users)
        return TokenHistories(users, *self.for_users(users))

    @classmethod
    def concatenated(cls, parts: Sequence["TokenHistories"]) -> "TokenHistories":
        """The histories of several parts, sorted by user. No user is in two parts."""
        lengths = [np.diff(part.offsets) for part in parts]
        unsorted = cls(
            np.concatenate([np.zeros(0, np.int64), *(part.users for part in parts)]),
            np.concatenate([[0], np.cumsum(np.concatenate([np.zeros(0, np.int64), *lengths]))]),
            np.concatenate([np.zeros(0, np.int32), *(part.ids for part in parts)]),
        )
        order = np.argsort(unsorted.users)
        return cls(unsorted.users[order], *unsorted._at(order))


def write_part(
    part_path: str | os.PathLike,
    vocab: ItemVocab,
    folder: str | os.PathLike,
    settings: ExampleSettings,
    seen_before: np.ndarray | None = None,
) -> dict:
    """Write `part-NNN.train.tfrecord`, `.valid.tfrecord` and `.test.tfrecord` for one part file.

    Train rows are windows over the training events, shuffled by the seed. With static masking, each window has
    `dupe_factor` masked copies (copy `c` has the masks of epoch `c`) and one copy with only its last item masked. With
    dynamic masking, each window is written once without masks. A valid or test row consists of the last
    `max_seq_length - 1` tokens before the target and `[MASK]`. All targets of a user are predicted at this last
    position; if there are more than `max_predictions_per_seq` targets, the user has several rows. Repeated targets are
    written once. The same arguments give the same bytes.

    Args:
        part_path: `parts/part-NNN.parquet`.
        vocab: The vocabulary over all parts.
        folder: The folder to write to.
        settings: The settings of the examples.
        seen_before: bool `[len(vocab)]` from `items_before`, to count the test targets that are not in it.

    Returns:
        The part's entry in the manifest, as JSON values: the `settings`; the digests `part` and `vocab`, and
        `vocab_size`; `files`, with the content `digest`, `bytes` and `rows` of each file; `lengths`, the number of
        train rows by length; and `counts` of users, events, and events without a row by reason.

    Raises:
        KerasrecError: the part cannot be read, it has no times although the split is global-time, or the disk is full.
    """
    histories, split = _read(part_path, vocab, settings)
    begins, ends = histories.offsets[:-1], histories.offsets[1:]
    counts = {
        "users": len(histories.users),
        "events": len(histories.ids),
        "unknown_events": np.count_nonzero(histories.ids == UNK),
    }

    windows = splits.sliding_windows(begins, split.train_end, settings.max_seq_length, settings.window_step)
    train_rows = _train_rows(windows, histories, settings, counts)
    valid_targets = _targets("valid", begins, split.train_end, split.test_begin, histories.ids, counts)
    test_targets = _targets("test", begins, split.test_begin, ends, histories.ids, counts)
    if seen_before is not None:
        counts["test_targets_unseen_before"] = np.count_nonzero(~seen_before[test_targets.ids])

    batches = {
        "train": _train_batches(train_rows, histories, settings, len(vocab)),
        "valid": _evaluation_batches(valid_targets, split.train_end, histories, settings),
        "test": _evaluation_batches(test_targets, split.test_begin, histories, settings),
    }
    path = Path(folder) / Path(part_path).stem
    files = {name: tfrecord.write_records(f"{path}.{name}.tfrecord", rows) for name, rows in batches.items()}
    lengths, numbers = np.unique(train_rows.windows.lengths[train_rows.numbers], return_counts=True)
    return {
        "settings": dataclasses.asdict(settings),
        "part": content_digest(part_path),
        "vocab": vocab.digest(),
        "vocab_size": len(vocab),
        "files": files,
        "lengths": {str(length): int(number) for length, number in zip(lengths, numbers, strict=True)},
        "counts": {reason: int(number) for reason, number in counts.items()},
    }


def histories_before(
    part_path: str | os.PathLike,
    vocab: ItemVocab,
    settings: ExampleSettings,
    target: str,
) -> TokenHistories:
    """The events of each user of a part before the valid or test targets: the items that a seen filter excludes.

    A user without targets has the complete history of this split. A history may contain `[UNK]`, and the target itself
    if the user has seen it before.

    Args:
        part_path: `parts/part-NNN.parquet`.
        vocab: The vocabulary of the examples, or a vocabulary that was grown from it.
        settings: The settings of the examples.
        target: The targets: `valid` or `test`.

    Raises:
        KerasrecError: the part cannot be read, or it has no times although the split is global-time.
    """
    histories, split = _read(part_path, vocab, settings)
    ends = split.train_end if target == "valid" else split.test_begin
    sizes = ends - histories.offsets[:-1]
    is_before = np.arange(len(histories.ids)) < np.repeat(ends, np.diff(histories.offsets))
    return TokenHistories(histories.users, np.concatenate([[0], np.cumsum(sizes)]), histories.ids[is_before])


def items_before(part_paths: Iterable[str | os.PathLike], vocab: ItemVocab, settings: ExampleSettings) -> np.ndarray:
    """The items with events before `settings.split_time`, bool `[len(vocab)]`.

    Args:
        part_paths: All part files of a task.
        vocab: The vocabulary over all parts.
        settings: Settings with the split global-time.
    """
    known = np.zeros(len(vocab), bool)
    for path in part_paths:
        earlier = read_parquet(path, ["item"], SPLITS, pc.field("time") < settings.split_time)
        known[vocab.encode(earlier["item"].unique())] = True
    known[:FIRST_ITEM] = False
    return known


class _TrainRows(NamedTuple):
    """The windows of a part, and the rows of its training file.

    Attributes:
        windows: The windows, W.
        keys: int64 `[W]`, their keys (`masking.example_keys`).
        numbers: int64 `[rows]`, the number of the row's window.
        copies: int64 `[rows]`, the number of the masked copy; copy `dupe_factor` has only its last item masked.
    """

    windows: splits.Windows
    keys: np.ndarray
    numbers: np.ndarray
    copies: np.ndarray


class _Targets(NamedTuple):
    """Valid or test targets.

    Attributes:
        users: int64 `[T]`, the index of the history, ascending.
        ids: int32 `[T]`, the token ids of the targets.
    """

    users: np.ndarray
    ids: np.ndarray


def _read(part_path, vocab: ItemVocab, settings: ExampleSettings) -> tuple[TokenHistories, splits.Split]:
    part = read_part(part_path)
    histories = TokenHistories(part.users, part.offsets, vocab.encode(part.items))
    split = splits.split_histories(part.offsets, part.times, settings)
    draws = masking.hash_rows(part.users, 0, seed=settings.seed, stream=masking.VALID_USERS).numpy()
    return histories, split.with_valid_users(draws < settings.valid_share * 2.0**64)


def _train_rows(
    windows: splits.Windows, histories: TokenHistories, settings: ExampleSettings, counts: dict
) -> _TrainRows:
    """The rows of the windows that contain a known item, shuffled by the seed."""
    is_item = histories.ids >= FIRST_ITEM
    items_until = np.concatenate([[0], np.cumsum(is_item)])
    has_item = items_until[windows.begins + windows.lengths] > items_until[windows.begins]
    counts["windows_without_known_item"] = np.count_nonzero(~has_item)
    windows = windows.take(np.flatnonzero(has_item))
    keys = masking.example_keys(histories.users[windows.users], windows.ordinals).numpy()

    copies_per_window = settings.dupe_factor + 1 if settings.masking == "static" else 1
    numbers, copies = np.divmod(np.arange(len(windows) * copies_per_window), copies_per_window)
    draws = masking.hash_rows(keys[numbers], copies, seed=settings.seed, stream=masking.ORDER).numpy()
    order = np.argsort(draws, kind="stable")
    if settings.masking == "static":
        last_is_unknown = ~is_item[windows.begins + windows.lengths - 1]
        without_prediction = (copies == settings.dupe_factor) & last_is_unknown[numbers]
        counts["last_only_rows_with_unknown_item"] = np.count_nonzero(without_prediction)
        order = order[~without_prediction[order]]
    return _TrainRows(windows, keys, numbers[order], copies[order])


def _train_batches(
    rows: _TrainRows, histories: TokenHistories, settings: ExampleSettings, vocab_size: int
) -> Iterator[list[bytes]]:
    for first in range(0, len(rows.numbers), ROWS_PER_BATCH):
        numbers = rows.numbers[first : first + ROWS_PER_BATCH]
        copies = rows.copies[first : first + ROWS_PER_BATCH]
        batch = rows.windows.take(numbers)
        info = histories.users[batch.users][:, np.newaxis]
        input_ids = splits.padded(histories.ids, batch.begins, batch.lengths, settings.max_seq_length)
        if settings.masking == "dynamic":
            features = {"info": info, "window": batch.ordinals[:, np.newaxis], "input_ids": input_ids}
            yield tfrecord.serialize(features, lengths={"input_ids": batch.lengths})
        else:
            masked = _masked_copies(settings, vocab_size)(input_ids, rows.keys[numbers], copies)
            yield tfrecord.serialize({"info": info} | {name: values.numpy() for name, values in masked.items()})


@functools.lru_cache(maxsize=1)  # tracing takes as long as about ten thousand rows, and a process writes many parts
def _masked_copies(settings: ExampleSettings, vocab_size: int) -> Callable[..., dict[str, tf.Tensor]]:
    """`mask_items` with these settings as a graph of `input_ids` `[B, L]`, `keys` `[B]` and `copies` `[B]`."""

    def masked_copies(input_ids, keys, copies):
        last_only = tf.equal(copies, settings.dupe_factor)
        options = {"rules": settings, "seed": settings.seed, "vocab_size": vocab_size, "last_only": last_only}
        return masking.mask_items(input_ids, keys, copies, **options)

    signature = [
        tf.TensorSpec([None, settings.max_seq_length], tf.int32),
        tf.TensorSpec([None], tf.int64),
        tf.TensorSpec([None], tf.int64),
    ]
    return tf.function(no_autograph(masked_copies), input_signature=signature)


def _targets(name: str, begins, history_ends, target_ends, ids: np.ndarray, counts: dict) -> _Targets:
    """The different known targets of users with a history, in time order; other targets are counted by reason."""
    has_target = target_ends > history_ends
    has_history = history_ends > begins
    counts[f"{name}_users_without_target"] = np.count_nonzero(~has_target)
    counts[f"{name}_users_without_past"] = np.count_nonzero(has_target & ~has_history)
    sizes = (target_ends - history_ends) * has_history
    users = np.repeat(np.arange(len(sizes)), sizes)
    positions = np.arange(len(users)) + np.repeat(history_ends - (np.cumsum(sizes) - sizes), sizes)
    targets = ids[positions]
    known = targets >= FIRST_ITEM
    counts[f"{name}_targets_unknown"] = np.count_nonzero(~known)
    users, targets = users[known], targets[known]
    _, first = np.unique(users << 32 | targets, return_index=True)
    counts[f"{name}_targets_repeated"] = len(targets) - len(first)
    first.sort()
    return _Targets(users[first], targets[first])


def _evaluation_batches(
    targets: _Targets, history_ends: np.ndarray, histories: TokenHistories, settings: ExampleSettings
) -> Iterator[list[bytes]]:
    max_predictions = settings.max_predictions_per_seq
    _, firsts, sizes = np.unique(targets.users, return_index=True, return_counts=True)
    ordinals = np.arange(len(targets.users)) - np.repeat(firsts, sizes)
    row_begins = np.flatnonzero(ordinals % max_predictions == 0)
    row_sizes = np.diff(row_begins, append=len(ordinals))
    for first in range(0, len(row_begins), ROWS_PER_BATCH):
        begins, sizes = row_begins[first : first + ROWS_PER_BATCH], row_sizes[first : first + ROWS_PER_BATCH]
        users = targets.users[begins]
        lengths = np.minimum(history_ends[users] - histories.offsets[users], settings.max_seq_length - 1)
        at_mask = np.arange(settings.max_seq_length) == lengths[:, np.newaxis]  # [rows, L]
        input_ids = splits.padded(histories.ids, history_ends[users] - lengths, lengths, settings.max_seq_length)
        weights = np.arange(max_predictions) < sizes[:, np.newaxis]  # [rows, P]
        yield tfrecord.serialize(
            {
                "info": histories.users[users][:, np.newaxis],
                "input_ids": np.where(at_mask, MASK, input_ids),
                "input_mask": (np.arange(settings.max_seq_length) <= lengths[:, np.newaxis]).astype(np.int32),
                "masked_lm_positions": weights * lengths[:, np.newaxis],
                "masked_lm_ids": splits.padded(targets.ids, begins, sizes, max_predictions),
                "masked_lm_weights": weights.astype(np.float32),
            }
        )
