"""Settings for training examples. Imports no TensorFlow, so that the command line starts quickly."""

import dataclasses
from typing import Literal

from kerasrec.choices import require_choices
from kerasrec.data.inputs.times import epoch_seconds
from kerasrec.errors import KerasrecError, require


@dataclasses.dataclass(frozen=True)
class MaskingRules:
    """Settings for masking the items of a window (Sun et al., "BERT4Rec", CIKM 2019, section 3.6).

    Raises:
        KerasrecError: a value is outside its range.

    Example:
        >>> MaskingRules(masked_lm_prob=0.4).max_predictions_per_seq
        10
    """

    masked_lm_prob: float = 0.2
    """Share of the items of a window that are predicted, typically 0.15 to 0.6; at least one item is predicted. Use
    larger values for short histories."""
    max_predictions_per_seq: int = 10
    """Maximum number of predictions per row, typically masked_lm_prob times max_seq_length."""
    mask_prob: float = 1.0
    """Share of the predicted items that are replaced by [MASK]. Of the others, half are replaced by a random item and
    half are not changed. 0.8 is the value of the BERT paper."""

    def __post_init__(self):
        require(0 < self.masked_lm_prob <= 1, "masked_lm_prob", self.masked_lm_prob, "above 0 and at most 1")
        require(self.max_predictions_per_seq >= 1, "max_predictions_per_seq", self.max_predictions_per_seq, ">= 1")
        require(0 <= self.mask_prob <= 1, "mask_prob", self.mask_prob, "between 0 and 1")


@dataclasses.dataclass(frozen=True)
class ExampleSettings(MaskingRules):
    """Settings for the training, validation and test examples of a part.

    Raises:
        KerasrecError: a value is outside its range, or `split` and `split_day` contradict each other.

    Example:
        >>> ExampleSettings(prop_sliding_window=0.1).window_step
        5
    """

    max_seq_length: int = 50
    """Maximum length of a row, in items; longer histories are cut into overlapping windows. Use about the length of
    long histories: the report of the split shows the share of truncated events."""
    prop_sliding_window: float = 0.5
    """Step between two windows as a share of max_seq_length; with -1, windows do not overlap. Smaller values give more
    training rows."""
    masking: Literal["static", "dynamic"] = "static"
    """static writes masked copies of each window. dynamic writes each window once; new masks are drawn in each epoch.
    dynamic makes smaller files and is required for the causal, seq2seq and similarity objectives."""
    dupe_factor: int = 10
    """Number of masked copies of each window with static masking. One additional copy has only its last item masked."""
    split: Literal["leave-one-out", "global-time"] = "leave-one-out"
    """leave-one-out: the last item of each user is the test target. global-time: all events on or after split_day are
    test targets, as in production."""
    split_day: str | None = None
    """First day of the test events for global-time: a day such as 2021-04-19 (UTC), an ISO 8601 time, or epoch
    seconds."""
    valid_share: float = 1.0
    """Share of the users whose valid target is held out; the targets of other users are training data. Use a value such
    as 0.1 for a final training, after the settings were chosen with 1: more recent events are trained on."""
    seed: int = 12345
    """Random seed of masks, row order and validation users."""

    def __post_init__(self):
        super().__post_init__()
        require_choices(self)
        require(0 <= self.valid_share <= 1, "valid_share", self.valid_share, "between 0 and 1")
        require(2 <= self.max_seq_length < 2**16, "max_seq_length", self.max_seq_length, "between 2 and 65535")
        require(
            self.prop_sliding_window == -1 or 0 < self.prop_sliding_window <= 1,
            "prop_sliding_window",
            self.prop_sliding_window,
            "above 0 and at most 1, or -1",
        )
        require(self.dupe_factor >= 0, "dupe_factor", self.dupe_factor, ">= 0")
        require(
            (self.split == "global-time") == (self.split_day is not None),
            "split_day",
            self.split_day,
            "a day with --split global-time, and omitted with --split leave-one-out",
        )
        if self.split_day is not None:
            epoch_seconds(self.split_day, "split_day")  # raises an error for an invalid day before any work starts

    @property
    def window_step(self) -> int:
        """Distance between the starts of two windows of a history, in items."""
        if self.prop_sliding_window == -1:
            return self.max_seq_length
        return max(1, int(self.prop_sliding_window * self.max_seq_length))

    @property
    def split_time(self) -> int:
        """`split_day` in epoch seconds.

        Raises:
            KerasrecError: the split has no day.
        """
        if self.split_day is None:
            raise KerasrecError(f"--split {self.split} has no split_day")
        return epoch_seconds(self.split_day, "split_day")


@dataclasses.dataclass(frozen=True)
class BatchSettings:
    """Settings for training batches.

    Raises:
        KerasrecError: a value is outside its range.
    """

    batch_size: int = 64
    """Windows per step, over all GPUs, typically 64 to 1024. Larger batches train faster on GPUs and need more
    memory."""
    last_item_prob: float = 0.1
    """With dynamic masking: share of the windows in which only the last item is masked, as in serving."""

    def __post_init__(self):
        require(self.batch_size >= 1, "batch_size", self.batch_size, ">= 1")
        require(0 <= self.last_item_prob <= 1, "last_item_prob", self.last_item_prob, "between 0 and 1")
