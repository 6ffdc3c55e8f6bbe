"""What a person may choose about training examples; imports no TensorFlow, so that a command line starts at once."""

import dataclasses
from typing import Literal

from kerasrec.data.inputs.times import epoch_seconds
from kerasrec.errors import require


@dataclasses.dataclass(frozen=True)
class MaskingRules:
    """How many items of a window are hidden, and what stands in their place.

    Raises:
        KerasrecError: a share lies outside its range, or no prediction is allowed.

    Example:
        >>> MaskingRules(masked_lm_prob=0.4).max_predictions_per_seq
        10
    """

    masked_lm_prob: float = 0.2
    """Share of a window's items that are to be predicted; at least one item always is."""
    max_predictions_per_seq: int = 10
    """Most items that are predicted in one row."""
    mask_prob: float = 1.0
    """Share of the chosen items that become [MASK]; of the rest half become a random item, half stay as they are."""

    def __post_init__(self):
        require(0 < self.masked_lm_prob <= 1, "masked_lm_prob", self.masked_lm_prob, "above 0 and at most 1")
        require(self.max_predictions_per_seq >= 1, "max_predictions_per_seq", self.max_predictions_per_seq, ">= 1")
        require(0 <= self.mask_prob <= 1, "mask_prob", self.mask_prob, "between 0 and 1")


@dataclasses.dataclass(frozen=True)
class ExampleSettings(MaskingRules):
    """How the histories of a part become training, validation and test examples.

    Raises:
        KerasrecError: a value lies outside its range, or `split` and `split_day` do not fit together.

    Example:
        >>> ExampleSettings(prop_sliding_window=0.1).window_step
        5
    """

    max_seq_length: int = 50
    """Longest row; longer histories become several overlapping windows."""
    prop_sliding_window: float = 0.5
    """Distance between two windows as a share of max_seq_length; -1 lets them lie end to end."""
    masking: Literal["static", "dynamic"] = "static"
    """static writes masked copies; dynamic writes each window once, to be masked anew in every epoch."""
    dupe_factor: int = 10
    """Masked copies of each window when masking is static; one more has only its last item masked."""
    split: Literal["leave-one-out", "global-time"] = "leave-one-out"
    """leave-one-out: a user's last item is the test target; global-time: all events on or after split_day are."""
    split_day: str | None = None
    """First day of the test events, as 2021-04-19 (UTC), an ISO 8601 time, or in epoch seconds."""
    valid_share: float = 1.0
    """Share of the users whose valid target is held out; the others train on it. Below 1 for a last training, whose
    settings were chosen with all of them: the newest events teach the most."""
    seed: int = 12345
    """Where every random choice comes from."""

    def __post_init__(self):
        super().__post_init__()
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
            "a day with --split global-time, and left out with --split leave-one-out",
        )
        if self.split_day is not None:
            epoch_seconds(self.split_day, "split_day")  # an unreadable day is reported before any work starts

    @property
    def window_step(self) -> int:
        """Distance between the beginnings of two windows of one history, in items."""
        if self.prop_sliding_window == -1:
            return self.max_seq_length
        return max(1, int(self.prop_sliding_window * self.max_seq_length))

    @property
    def split_time(self) -> int:
        """`split_day` in epoch seconds."""
        return epoch_seconds(self.split_day, "split_day")


@dataclasses.dataclass(frozen=True)
class BatchSettings:
    """How training rows are put together.

    Raises:
        KerasrecError: a value lies outside its range.
    """

    batch_size: int = 64
    """Windows a step, over all cards together."""
    last_item_prob: float = 0.1
    """With dynamic masking: share of the windows in which only the last item is masked, as it is when in use."""

    def __post_init__(self):
        require(self.batch_size >= 1, "batch_size", self.batch_size, ">= 1")
        require(0 <= self.last_item_prob <= 1, "last_item_prob", self.last_item_prob, "between 0 and 1")
