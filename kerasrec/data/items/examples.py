"""One part's histories into its training, validation and test files."""

import dataclasses
import functools
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import pyarrow.compute as pc

from kerasrec.backend import no_autograph, tf
from kerasrec.data.items import masking, splits, tfrecord
from kerasrec.data.items.settings import ExampleSettings
from kerasrec.data.items.vocab import FIRST_ITEM, MASK, UNK, ItemVocab
from kerasrec.data.logs.parts import SPLITS, read_part
from kerasrec.workspace.digests import content_digest
from kerasrec.workspace.tables import read_parquet

ROWS_AT_A_TIME = 2048  # the byte matrices of so many rows fit into a processor's cache


class TokenHistories(NamedTuple):
    """Token ids of users' events, end to end: user `u` has `ids[offsets[u] : offsets[u + 1]]`."""

    users: np.ndarray
    """int64 `[U]` user numbers, rising."""
    offsets: np.ndarray
    """int64 `[U + 1]`."""
    ids: np.ndarray
    """int32 `[N]`, in time order; `[UNK]` where the vocabulary lacks the item."""

    def of(self, users: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The histories of these users, `offsets` int64 `[B + 1]` and `ids` int32 `[n]`; an unknown user has none."""
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

    def only(self, users: np.ndarray) -> "TokenHistories":
        """The histories of those of these users, int64 `[n]`, that are among them."""
        users = np.intersect1d(users, self.users)
        return TokenHistories(users, *self.of(users))

    @classmethod
    def joined(cls, parts: Sequence["TokenHistories"]) -> "TokenHistories":
        """The histories of several parts as one; no user is in two of them."""
        lengths = [np.diff(part.offsets) for part in parts]
        end_to_end = cls(
            np.concatenate([np.zeros(0, np.int64), *(part.users for part in parts)]),
            np.concatenate([[0], np.cumsum(np.concatenate([np.zeros(0, np.int64), *lengths]))]),
            np.concatenate([np.zeros(0, np.int32), *(part.ids for part in parts)]),
        )
        order = np.argsort(end_to_end.users)
        return cls(end_to_end.users[order], *end_to_end._at(order))


def write_part(
    part_path: str | os.PathLike,
    vocab: ItemVocab,
    folder: str | os.PathLike,
    settings: ExampleSettings,
    seen_before: np.ndarray | None = None,
) -> dict:
    """Write `part-NNN.train.tfrecord`, `.valid.tfrecord` and `.test.tfrecord` of one part file.

    Train rows are windows over the events that train. With static masking each window gives `dupe_factor` masked
    copies (copy `c` has the masks of epoch `c`) and one with only its last item masked; with dynamic masking it is
    written once, unmasked. Their order is a shuffle by the seed. A valid or test row is the user's history before the
    target, its most recent `max_seq_length - 1` tokens, and `[MASK]` behind them. All targets of a user belong to
    that last position; those beyond `max_predictions_per_seq` go into further rows, and equal ones count once.
    The same arguments give the same bytes.

    Args:
        part_path: `parts/part-NNN.parquet`.
        vocab: the vocabulary over all parts.
        folder: where the files go.
        settings: how examples are made.
        seen_before: bool `[len(vocab)]` from `items_before`; test targets outside of it are counted.

    Returns:
        The part's manifest entry, as JSON has it: the `settings`; the digests `part` and `vocab`, and `vocab_size`;
        `files`, with the content `digest`, `bytes` and `rows` of each; `lengths`, the number of train rows of each
        length; and `counts` of users and events, and of what gave no row, by reason.

    Raises:
        KerasrecError: the part cannot be read, has no times for a split by time, or the disk is full.
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
    target: Literal["valid", "test"],
) -> TokenHistories:
    """All that each user of a part saw before the valid or the test targets: what a seen filter leaves out.

    A user without such a target has the whole history that the split allows. `[UNK]` may stand in it, and so may the
    target itself, where the user saw it before.

    Args:
        part_path: `parts/part-NNN.parquet`.
        vocab: the vocabulary that the examples were written with, or one grown from it.
        settings: the settings that they were written with.
        target: before which target.

    Raises:
        KerasrecError: the part cannot be read, or has no times for a split by time.
    """
    histories, split = _read(part_path, vocab, settings)
    ends = split.train_end if target == "valid" else split.test_begin
    sizes = ends - histories.offsets[:-1]
    kept = np.arange(len(histories.ids)) < np.repeat(ends, np.diff(histories.offsets))
    return TokenHistories(histories.users, np.concatenate([[0], np.cumsum(sizes)]), histories.ids[kept])


def items_before(part_paths: Iterable[str | os.PathLike], vocab: ItemVocab, settings: ExampleSettings) -> np.ndarray:
    """bool `[len(vocab)]`: which items some user of these parts saw before `settings.split_time`.

    Args:
        part_paths: all parts of a task.
        vocab: the vocabulary over them.
        settings: with the global-time split.
    """
    known = np.zeros(len(vocab), bool)
    for path in part_paths:
        earlier = read_parquet(path, ["item"], SPLITS, pc.field("time") < settings.split_time)
        known[vocab.encode(earlier["item"].unique())] = True
    known[:FIRST_ITEM] = False
    return known


class _TrainRows(NamedTuple):
    """The windows of a part, and which of them stands in each row of the training file."""

    windows: splits.Windows
    keys: np.ndarray
    """int64 `[W]`, as `masking` wants them."""
    numbers: np.ndarray
    """int64 `[rows]`: number of the row's window."""
    copies: np.ndarray
    """int64 `[rows]`: number of the masked copy; `dupe_factor` is the one with only its last item masked."""


class _Targets(NamedTuple):
    users: np.ndarray
    """int64 `[T]`: which history, counted from 0, rising."""
    ids: np.ndarray
    """int32 `[T]` token ids."""


def _read(part_path, vocab: ItemVocab, settings: ExampleSettings) -> tuple[TokenHistories, splits.Split]:
    part = read_part(part_path)
    histories = TokenHistories(part.users, part.offsets, vocab.encode(part.items))
    split = splits.split_histories(part.offsets, part.times, settings)
    draws = masking.hash_rows(part.users, 0, seed=settings.seed, stream=masking.VALID_USERS).numpy()
    return histories, split.validating(draws < settings.valid_share * 2.0**64)


def _train_rows(
    windows: splits.Windows, histories: TokenHistories, settings: ExampleSettings, counts: dict
) -> _TrainRows:
    """The windows that something can be learnt from, each as often as it is written, shuffled by the seed."""
    is_item = histories.ids >= FIRST_ITEM
    items_until = np.concatenate([[0], np.cumsum(is_item)])
    with_items = items_until[windows.begins + windows.lengths] > items_until[windows.begins]
    counts["windows_without_known_item"] = np.count_nonzero(~with_items)
    windows = windows.take(np.flatnonzero(with_items))
    keys = masking.example_keys(histories.users[windows.users], windows.ordinals).numpy()

    copies_each = settings.dupe_factor + 1 if settings.masking == "static" else 1
    numbers, copies = np.divmod(np.arange(len(windows) * copies_each), copies_each)
    draws = masking.hash_rows(keys[numbers], copies, seed=settings.seed, stream=masking.ORDER).numpy()
    order = np.argsort(draws, kind="stable")
    if settings.masking == "static":
        ends_unknown = ~is_item[windows.begins + windows.lengths - 1]
        to_no_purpose = (copies == settings.dupe_factor) & ends_unknown[numbers]
        counts["last_only_rows_with_unknown_item"] = np.count_nonzero(to_no_purpose)
        order = order[~to_no_purpose[order]]
    return _TrainRows(windows, keys, numbers[order], copies[order])


def _train_batches(
    rows: _TrainRows, histories: TokenHistories, settings: ExampleSettings, vocab_size: int
) -> Iterator[list[bytes]]:
    for first in range(0, len(rows.numbers), ROWS_AT_A_TIME):
        numbers = rows.numbers[first : first + ROWS_AT_A_TIME]
        copies = rows.copies[first : first + ROWS_AT_A_TIME]
        batch = rows.windows.take(numbers)
        info = histories.users[batch.users][:, np.newaxis]
        input_ids = splits.padded(histories.ids, batch.begins, batch.lengths, settings.max_seq_length)
        if settings.masking == "dynamic":
            features = {"info": info, "window": batch.ordinals[:, np.newaxis], "input_ids": input_ids}
            yield tfrecord.serialize(features, lengths={"input_ids": batch.lengths})
        else:
            masked = _masked_copies(settings, vocab_size)(input_ids, rows.keys[numbers], copies)
            yield tfrecord.serialize({"info": info} | {name: values.numpy() for name, values in masked.items()})


@functools.lru_cache(maxsize=1)  # tracing takes as long as some ten thousand rows, and a process has many parts
def _masked_copies(settings: ExampleSettings, vocab_size: int) -> Callable[..., dict[str, tf.Tensor]]:
    """`mask_items` with these settings as a graph, of `input_ids` `[B, L]`, `keys` `[B]` and `copies` `[B]`."""

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
    """What each user is to be asked for, once each and in time order; the rest is counted by reason."""
    has_target = target_ends > history_ends
    has_past = history_ends > begins
    counts[f"{name}_users_without_target"] = np.count_nonzero(~has_target)
    counts[f"{name}_users_without_past"] = np.count_nonzero(has_target & ~has_past)
    sizes = (target_ends - history_ends) * has_past
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
    most = settings.max_predictions_per_seq
    _, firsts, sizes = np.unique(targets.users, return_index=True, return_counts=True)
    places = np.arange(len(targets.users)) - np.repeat(firsts, sizes)
    row_begins = np.flatnonzero(places % most == 0)
    row_sizes = np.diff(row_begins, append=len(places))
    for first in range(0, len(row_begins), ROWS_AT_A_TIME):
        begins, sizes = row_begins[first : first + ROWS_AT_A_TIME], row_sizes[first : first + ROWS_AT_A_TIME]
        users = targets.users[begins]
        lengths = np.minimum(history_ends[users] - histories.offsets[users], settings.max_seq_length - 1)
        at_mask = np.arange(settings.max_seq_length) == lengths[:, np.newaxis]  # [rows, L]
        input_ids = splits.padded(histories.ids, history_ends[users] - lengths, lengths, settings.max_seq_length)
        weights = np.arange(most) < sizes[:, np.newaxis]  # [rows, P]
        yield tfrecord.serialize(
            {
                "info": histories.users[users][:, np.newaxis],
                "input_ids": np.where(at_mask, MASK, input_ids),
                "input_mask": (np.arange(settings.max_seq_length) <= lengths[:, np.newaxis]).astype(np.int32),
                "masked_lm_positions": weights * lengths[:, np.newaxis],
                "masked_lm_ids": splits.padded(targets.ids, begins, sizes, most),
                "masked_lm_weights": weights.astype(np.float32),
            }
        )
