"""Settings of examples and training that fit a log, chosen from the counts of its split; imports no TensorFlow."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from kerasrec.data.items.settings import BatchSettings, ExampleSettings
from kerasrec.keywords import keywords_of
from kerasrec.nn.settings import ItemModelSettings
from kerasrec.training.settings import LoopSettings, OptimizerSettings

Recipe = Literal["auto", "bert4rec"]

DENSE = 50
"""Events per item from which a log is dense. MovieLens-1M has 293; Beauty 6; 5-core Beauty and Toys 16 and 14."""
MOST_SCORED_ITEMS = 20_000
"""Largest catalogue whose items are all scored in training."""
SMALL_LOG = 200_000
"""Events below which a narrower model is used."""
MOST_TRUNCATED = 0.05
"""Largest share of the events that a row length may cut off."""


@dataclass(frozen=True)
class SuitableSettings:
    """Settings of the steps, and the reasons for them.

    Attributes:
        examples: Of the examples.
        model: Of the model and its loss.
        optimizer: Of the optimizer.
        batches: Of the batches.
        loop: Of evaluations and early stopping.
        epochs: Largest number of passes.
        reasons: One line for each choice.
    """

    examples: ExampleSettings
    model: ItemModelSettings
    optimizer: OptimizerSettings
    batches: BatchSettings
    loop: LoopSettings
    epochs: int
    reasons: tuple[str, ...]

    @property
    def keywords(self) -> dict[str, object]:
        """The settings by the names of the options; those of the loop are the ones that were chosen."""
        found: dict[str, object] = {"epochs": self.epochs}
        found |= {name: getattr(self.loop, name) for name in ("evaluate_every", "patience")}
        for settings in (self.examples, self.model, self.optimizer, self.batches):
            found |= keywords_of(dataclasses.asdict(settings), type(settings))
        return found


def suitable_settings(
    report: Mapping, objective: Literal["causal", "masked"] = "causal", recipe: Recipe = "auto"
) -> SuitableSettings:
    """The settings that an experienced user would choose for a log.

    The rules come from trials on the valid splits of MovieLens-1M, of Beauty, and of 5-core Beauty and Toys.

    Args:
        report: The counts of the split, as `kerasrec.data.logs.split_report.SplitReport.as_dict` returns them.
        objective: The objective of the model.
        recipe: `bert4rec` is the model of the BERT4Rec paper with the defaults of the step commands.

    Example:
        >>> report = {"users": 6040, "items": 3416, "events": 999_611, "repeats": 0, "longest": 2277}
        >>> chosen = suitable_settings(report | {"truncated": {"50": {"events": 0.7}, "200": {"events": 0.3}}})
        >>> chosen.examples.max_seq_length, chosen.model.unique_items, chosen.epochs
        (200, True, 40)
    """
    if recipe == "bert4rec":
        return SuitableSettings(
            ExampleSettings(),
            ItemModelSettings(),
            OptimizerSettings(),
            BatchSettings(),
            LoopSettings(evaluate_every=2, patience=5),
            100,
            ("the recipe bert4rec: masked items, static masks, the defaults of the step commands",),
        )
    events_per_item = report["events"] / max(report["items"], 1)
    is_dense = events_per_item >= DENSE
    kind = f"{'dense' if is_dense else 'sparse'}, {events_per_item:,.1f} events per item"
    length = _row_length(report["truncated"], report["longest"])
    share = 0.3 if is_dense else 0.6
    width = 64 if report["events"] < SMALL_LOG and is_dense else 128
    scores_all = report["items"] <= MOST_SCORED_ITEMS
    unique = not report["repeats"]
    causal = objective == "causal"
    epochs = (40 if causal else 60) if is_dense else (16 if causal else 24)
    examples = ExampleSettings(
        masking="dynamic",
        max_seq_length=length,
        prop_sliding_window=0.5 if causal and not is_dense else -1,
        masked_lm_prob=share,
        max_predictions_per_seq=max(1, round(share * length)),
    )
    model = ItemModelSettings(
        objective=objective,
        unique_items=unique,
        hidden_size=width,
        norm="post" if is_dense else "pre",
        dropout=0.3 if is_dense else 0.4,
        item_loss="softmax" if scores_all else "sampled",
        negative_source="uniform" if scores_all else "popularity",
        negatives=ItemModelSettings.negatives if scores_all else 4096,
        count_prior=True,
    )
    optimizer = OptimizerSettings(
        learning_rate=2e-3 if is_dense else 1e-3, warmup_steps=200, weight_decay=0.01 if is_dense else 1.0
    )
    reasons = (
        f"the log is {kind}: norm {model.norm}, dropout {model.dropout:g}, weight decay {optimizer.weight_decay:g}, "
        f"learning rate {optimizer.learning_rate:g}, at most {epochs} passes",
        f"objective {objective}, masks drawn anew in each pass",
        f"rows of {length} items: {_truncated_share(report, length):.1%} of the events are older",
        f"hidden size {width}: {report['events']:,} events",
        f"{'all items are' if scores_all else 'a sample of 4,096 items is'} scored in training: "
        f"{report['items']:,} items",
        "items of a history are excluded from the negatives: no user has an item twice"
        if unique
        else f"items of a history can be targets again: {report['repeats']:,} events are repeats",
        "a count prior is added, with the weight that is best on the valid split",
    )
    loop = LoopSettings(evaluate_every=2, patience=4)  # `epochs` is even, so the last pass is evaluated
    batches = BatchSettings(batch_size=128, last_item_prob=0.1 if is_dense else 0.3)
    return SuitableSettings(examples, model, optimizer, batches, loop, epochs, reasons)


def suitable_keywords(
    report: Mapping, given: Mapping[str, object], recipe: Recipe = "auto"
) -> tuple[dict[str, object], tuple[str, ...]]:
    """The suitable settings for a log that fit settings which were given.

    Args:
        report: As for `suitable_settings`.
        given: Settings by the names of the options; they are kept.
        recipe: As for `suitable_settings`.

    Returns:
        All settings by the names of the options, and the reasons for those that were chosen.

    Example:
        >>> report = {"users": 9, "items": 9, "events": 90, "repeats": 0, "longest": 10, "truncated": {}}
        >>> keywords, _ = suitable_keywords(report, {"seq2seq_weight": 0.5})
        >>> keywords["objective"], keywords["unique_items"]
        ('masked', False)
    """
    has_other_losses = bool(given.get("seq2seq_weight") or given.get("similarity_weight"))
    is_masked = has_other_losses or given.get("masking") == "static" or recipe == "bert4rec"
    objective = given.get("objective", "masked" if is_masked else "causal")
    chosen = suitable_settings(report, "masked" if objective == "masked" else "causal", recipe)
    keywords = chosen.keywords
    if recipe == "bert4rec" and (objective == "causal" or has_other_losses):
        keywords["masking"] = "dynamic"
    if given.get("seq2seq_weight") or given.get("keep_seen"):
        keywords["unique_items"] = False  # such a model is compared with its own items
    if given.get("valid_users") == 0:
        keywords["count_prior"] = False  # there is nothing to choose its weight on
    if "item_loss" in given:
        keywords["negative_source"] = ItemModelSettings.negative_source
    length, share = (given.get(name, keywords[name]) for name in ("max_seq_length", "masked_lm_prob"))
    if "max_seq_length" in given and isinstance(length, int) and isinstance(share, (int, float)):  # else a step refuses
        keywords["max_predictions_per_seq"] = max(1, round(share * length))
    if given.keys() & {"epochs", "train_multi"}:
        keywords["evaluate_every"] = 1  # the last pass is evaluated, whatever its number
    return keywords | dict(given), chosen.reasons


def _row_length(truncated: Mapping[str, Mapping[str, float]], longest: int) -> int:
    """The shortest of the reported lengths from 50 on that cuts few events off; else the longest of them."""
    lengths = sorted(int(length) for length in truncated)
    fitting = [length for length in lengths if truncated[str(length)]["events"] <= MOST_TRUNCATED and length >= 50]
    length = fitting[0] if fitting else max(lengths, default=50)
    return max(2, min(length, longest))


def _truncated_share(report: Mapping, length: int) -> float:
    shares = report["truncated"].get(str(length))
    return shares["events"] if shares else 0.0
