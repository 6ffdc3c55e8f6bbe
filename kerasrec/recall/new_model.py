"""A model at the beginning of its training."""

from kerasrec.data.items.batches import TrainingObjectives
from kerasrec.data.items.vocab import FIRST_ITEM
from kerasrec.evaluation.baselines.markov_chain import MarkovChain
from kerasrec.nn.co_occurrence import co_occurrence_vectors
from kerasrec.nn.item_model import ItemModel
from kerasrec.recall.dataset import PreparedData
from kerasrec.recall.settings import Train

START_EVENTS = 10_000_000  # bounds the memory of the pairs of neighbours
PRIOR_EVENTS = 10_000_000  # bounds the memory of the transitions


def objectives(command: Train) -> TrainingObjectives:
    """The objectives that the settings of a training ask for."""
    model = command.model
    return TrainingObjectives(model.objective == "causal", model.seq2seq_weight > 0, model.similarity_weight > 0)


def new_model(command: Train, prepared: PreparedData, vocab_size: int | None = None) -> ItemModel:
    """A model with random weights; its biases are the logarithms of the items' shares of the training events.

    Args:
        command: The settings of the training.
        prepared: The task.
        vocab_size: Number of tokens, if the model has fewer than the task's vocabulary.
    """
    vocab_size = vocab_size or len(prepared.vocab)
    counts = prepared.training_counts[: vocab_size - FIRST_ITEM]  # new tokens of a vocabulary are at its end
    return ItemModel(command.model, vocab_size, prepared.settings.max_seq_length, command.seed, item_counts=counts)


def start_items(command: Train, prepared: PreparedData, model: ItemModel) -> None:
    """Set the item embeddings of a new model as `item_start` asks."""
    if command.item_start == "co-occurrence":
        histories = prepared.some_histories(START_EVENTS, "co-occurrence, which items start from, is counted")
        table = model.item_table
        table.assign(co_occurrence_vectors(histories.offsets, histories.ids, *table.shape, seed=command.seed))


def count_transitions(prepared: PreparedData, model: ItemModel) -> None:
    """Set the transitions of a model's prior, if it has one."""
    if model.prior is not None:
        histories = prepared.some_histories(PRIOR_EVENTS, "the transitions of the prior are counted")
        chain = MarkovChain().fit(histories.offsets, histories.ids, model.prior.vocab_size)
        model.prior.set_transitions(chain.neighbours, chain.decay)
