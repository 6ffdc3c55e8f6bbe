"""All of item recall on a log from a stated process, beside the best score that any model could reach on it."""

import logging

import pyarrow.parquet as pq

from kerasrec.data.parts import read_part
from kerasrec.data.settings import ExampleSettings
from kerasrec.data.synthetic import SyntheticLog, leave_one_out
from kerasrec.data.tasks import Places, Task, find_parts
from kerasrec.nn.settings import ItemModelSettings
from kerasrec.recall.evaluate import figures
from kerasrec.recall.export import export, recommend
from kerasrec.recall.prepare import examples, split, vocab
from kerasrec.recall.prepared import Prepared
from kerasrec.recall.settings import Examples, Export, Quickstart, Recommend, Split, Train, Vocab
from kerasrec.recall.train import train
from kerasrec.training.ranking import print_table
from kerasrec.training.settings import LoopSettings, OptimizerSettings

logger = logging.getLogger(__name__)

DATE, DATASET, ALL = "20210419", "quickstart", "quickstart-refine-0-all"


def quickstart(command: Quickstart) -> None:
    """Make a log, split it, train, evaluate, export, and recommend for one of its users."""
    places = Places(*(command.folder / name for name in ("data", "output", "export")))
    log = SyntheticLog(seed=command.seed)
    logs = log.write(command.folder / "raw")
    logger.info(
        f"{logs}: {log.users:,} users, {log.items:,} items, simulated, so that the best possible ranking is known"
    )
    split(Split(str(logs), str(places.data_path), date=DATE, dataset_name=DATASET, parts=2))
    vocab(Vocab(ALL, places))
    examples(Examples(ALL, places=places, examples=ExampleSettings(masking="dynamic")))
    training = Train(
        ALL,
        places=places,
        epochs=command.epochs,
        valid_users=500,
        seed=command.seed,
        model=ItemModelSettings(objective="causal", unique_items=True),
        optimizer=OptimizerSettings(learning_rate=3e-3),
        loop=LoopSettings(evaluate_every=10),
    )
    train(training)
    task, parts = find_parts(ALL, places)
    prepared = Prepared(task, parts)
    protocol = prepared.protocol("test")
    table = figures(prepared, protocol)
    print_table(table | {"best possible": ceiling(log, task)}, protocol)
    export(Export(ALL, places=places))
    recommend(Recommend(ALL, user=first_user(task), places=places, names=command.folder / "raw" / "items.csv"))
    logger.info(f"{command.folder}: raw/, data/, output/, export/")


def ceiling(log: SyntheticLog, task: Task) -> dict[str, float]:
    """What the best ranking can expect of the users' last items, given all before them."""
    expected, users = {}, 0
    for part in task.part_names():
        histories = read_part(task.part_path(part))
        numbers = log.item_numbers(histories.items.to_pylist())
        best = log.ceiling(*leave_one_out(histories.offsets, numbers))["expected"]
        here = len(histories.offsets) - 1
        users += here
        expected = {name: expected.get(name, 0.0) + value * here for name, value in best.items()}
    return {name: value / users for name, value in expected.items()}


def first_user(task: Task) -> str:
    """Raw id of the first user of the first part."""
    return pq.read_table(task.users_path, columns=["raw"])["raw"][0].as_py()
