"""All steps of item recall on a simulated log, with the best score that any model could reach on it."""

import logging

import pyarrow.parquet as pq

from kerasrec.console import text_of
from kerasrec.data.items.settings import ExampleSettings
from kerasrec.data.logs.parts import read_part
from kerasrec.data.logs.synthetic import SyntheticLog, leave_one_out
from kerasrec.evaluation.figures import figures_frame
from kerasrec.nn.settings import ItemModelSettings
from kerasrec.recall.dataset import PreparedData
from kerasrec.recall.evaluate import model_and_baseline_figures
from kerasrec.recall.export import export
from kerasrec.recall.prepare import examples, split, vocab
from kerasrec.recall.recommend import recommend
from kerasrec.recall.settings import Examples, Export, Quickstart, Recommend, Split, Train, Vocab
from kerasrec.recall.train import train
from kerasrec.training import curves
from kerasrec.training.monitor import Monitor
from kerasrec.training.settings import OptimizerSettings
from kerasrec.workspace.run_folders import RunFolders, Task, find_parts

logger = logging.getLogger(__name__)

DATE, DATASET, ALL = "20210419", "quickstart", "quickstart-refine-0-all"


def quickstart(command: Quickstart) -> str:
    """Write a log, split it, train, evaluate, export, and recommend for one of its users.

    Returns:
        The folder and its sub-folders, as a line of text.
    """
    folders = RunFolders(*(command.folder / name for name in ("data", "output", "export")))
    log = SyntheticLog(seed=command.seed)
    logs = log.write(command.folder / "raw")
    logger.info(
        f"{logs}: {log.users:,} users, {log.items:,} items, simulated, so that the best possible ranking is known"
    )
    _log(split(Split(str(logs), str(folders.data_path), date=DATE, dataset_name=DATASET, parts=2)))
    _log(vocab(Vocab(ALL, folders)))
    _log(examples(Examples(ALL, folders=folders, examples=ExampleSettings(masking="dynamic"))))
    training = Train(
        ALL,
        folders=folders,
        epochs=command.epochs,
        seed=command.seed,
        model=ItemModelSettings(objective="causal", unique_items=True),
        optimizer=OptimizerSettings(learning_rate=3e-3),
    )
    _log(train(training))
    task, parts = find_parts(ALL, folders)
    prepared = PreparedData(task, parts)
    monitor = Monitor()
    references = valid_references(log, prepared, monitor.figures[0])
    curves.draw(task.output, monitor, str(prepared.protocol("valid")), references)
    protocol = prepared.protocol("test")
    table = model_and_baseline_figures(prepared, protocol) | {"best possible": ceiling(log, task)}
    _log(figures_frame(table, str(protocol)))
    _log(export(Export(ALL, folders=folders)))
    titles = command.folder / "raw" / "items.csv"
    _log(recommend(Recommend(ALL, user=first_user(task), folders=folders, names=titles)))
    return f"{command.folder}: raw/, data/, output/, export/"


def _log(result: object) -> None:
    text = text_of(result)
    logger.info(f"\n{text}" if "\n" in text else text)


def valid_references(log: SyntheticLog, prepared: PreparedData, figure: str) -> dict[str, float]:
    """A figure of the baselines and of the best possible ranking on the valid split, by name."""
    table = model_and_baseline_figures(prepared, prepared.protocol("valid"))
    table["the best possible ranking"] = ceiling(log, prepared.task, held_out=2)
    return {name: table[name][figure] for name in table if name != "model"}


def ceiling(log: SyntheticLog, task: Task, held_out: int = 1) -> dict[str, float]:
    """Expected figures of the best possible ranking of an item of each user, given all earlier items.

    Args:
        log: The log that the task was made from.
        task: The task.
        held_out: The item, counted from the end of the history: 1 is the test item, 2 the valid item.
    """
    expected, users = {}, 0
    for part in task.part_names():
        histories = read_part(task.part_path(part))
        numbers = log.item_numbers(histories.items.to_pylist())
        offsets = histories.offsets
        for _ in range(held_out):
            offsets, numbers, targets = leave_one_out(offsets, numbers)
        best = log.ceiling(offsets, numbers, targets)["expected"]
        here = len(histories.offsets) - 1
        users += here
        expected = {name: expected.get(name, 0.0) + value * here for name, value in best.items()}
    return {name: value / users for name, value in expected.items()}


def first_user(task: Task) -> str:
    """Raw id of the first user in the first part."""
    return pq.read_table(task.users_path, columns=["raw"])["raw"][0].as_py()
