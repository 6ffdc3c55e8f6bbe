import dataclasses

import numpy as np
import pytest

from kerasrec.colarec.encoder_rows import RowMaker
from kerasrec.colarec.run import recommender
from kerasrec.colarec.settings import Lengths, Train
from kerasrec.training.optimizers import adamw, warmup_schedule

LENGTHS = Lengths(items=5, tokens=60, item_tokens=6, sampled_items=3)


class Shown(Exception):
    """Ends a recommendation where the rows are made."""


def shown(prepared, users, **options):
    """The items that a model would be shown of these users."""
    make, seen = RowMaker(prepared.tokens, LENGTHS), []

    def of_users(items):
        seen.append(items)
        raise Shown

    make.of_users = of_users
    with pytest.raises(Shown):
        recommender(prepared, None, make, None, 20, **options)(np.array(users))
    return [[item for item in row if item >= 0] for row in seen[0].tolist()]


def test_the_shown_history_of_a_user(ready_cli):
    prepared = ready_cli.prepared
    sets, users = prepared.interactions, np.arange(len(prepared.user_ids))
    histories = [sets.items[begin:end].tolist() for begin, end in zip(sets.offsets, sets.offsets[1:], strict=False)]
    assert shown(prepared, users) == [history[::-1][:5] for history in histories]
    drawn = shown(prepared, users, history_seed=1)
    assert [len(row) for row in drawn] == [min(3, len(history)) for history in histories]
    assert all(
        set(row) <= set(history) and len(set(row)) == len(row) for row, history in zip(drawn, histories, strict=True)
    )
    assert any(row != history[::-1][:3] for row, history in zip(drawn, histories, strict=True))
    assert shown(prepared, users[5:7], history_seed=1) == drawn[5:7]  # whoever else is asked about
    assert shown(prepared, users, history_seed=2) != drawn


def test_the_optimizer_is_that_of_the_authors_code():
    settings = Train("shop").optimizer
    assert (
        dataclasses.asdict(settings).items() >= {"learning_rate": 5e-4, "schedule": "constant", "clip_norm": 1}.items()
    )
    optimizer = adamw(settings, warmup_schedule(settings))
    assert (optimizer.global_clipnorm, optimizer.weight_decay) == (1.0, 0.01)
    assert float(optimizer.learning_rate) == pytest.approx(5e-4 / 100)  # the first of 100 steps
