"""The systems and their steps: what the command line offers.

A new system has an entry in both tables.
"""

from kerasrec.anime import settings as anime
from kerasrec.colarec import settings as colarec
from kerasrec.pretrained import settings as pretrained
from kerasrec.recall import settings as recall
from kerasrec.sentence_pair import settings as sentence_pair
from kerasrec.siamese import settings as siamese

DESCRIPTIONS = {
    "recall": "from behaviour logs to the next items of a history",
    "siamese": "from groups of texts that mean the same to vectors, similar texts and paraphrases",
    "sentence-pair": "from labelled pairs to classes, similarities and vectors of sentences",
    "anime": "from AniList's lists to a trained recommender of anime",
    "colarec": "from interactions and item texts to items whose identifiers are written code by code",
    "convert": "Hugging Face's weights of a BERT into a checkpoint of Google's",
}

# For each system, its steps: the settings that the command line shows, and the function that takes them. The functions'
# modules are imported when they are run: most of them load TensorFlow.
SYSTEMS = {
    "recall": {
        "split": (recall.Split, "kerasrec.recall.prepare.split"),
        "vocab": (recall.Vocab, "kerasrec.recall.prepare.vocab"),
        "examples": (recall.Examples, "kerasrec.recall.prepare.examples"),
        "train": (recall.Train, "kerasrec.recall.train.train"),
        "evaluate": (recall.Evaluate, "kerasrec.recall.evaluate.evaluate"),
        "export": (recall.Export, "kerasrec.recall.export.export"),
        "recommend": (recall.Recommend, "kerasrec.recall.recommend.recommend"),
        "tune": (recall.Tune, "kerasrec.recall.tune.tune"),
        "fit": (recall.Fit, "kerasrec.recall.fit.fit"),
        "quickstart": (recall.Quickstart, "kerasrec.recall.quickstart.quickstart"),
    },
    "siamese": {
        "prepare": (siamese.Prepare, "kerasrec.siamese.prepare.prepare"),
        "train": (siamese.Train, "kerasrec.siamese.train.train"),
        "evaluate": (siamese.Evaluate, "kerasrec.siamese.evaluate.evaluate"),
        "export": (siamese.Export, "kerasrec.siamese.export.export"),
        "encode": (siamese.Encode, "kerasrec.siamese.query.encode"),
        "similar": (siamese.Similar, "kerasrec.siamese.query.similar"),
        "generate": (siamese.Generate, "kerasrec.siamese.query.generate"),
    },
    "sentence-pair": {
        "train": (sentence_pair.Train, "kerasrec.sentence_pair.train.train"),
        "evaluate": (sentence_pair.Evaluate, "kerasrec.sentence_pair.evaluate.evaluate"),
        "predict": (sentence_pair.Predict, "kerasrec.sentence_pair.predict.predict"),
        "encode": (sentence_pair.Encode, "kerasrec.sentence_pair.encode.encode"),
        "export": (sentence_pair.Export, "kerasrec.sentence_pair.export.export"),
    },
    "anime": {
        "fetch-titles": (anime.FetchTitles, "kerasrec.anime.fetch.fetch_titles"),
        "fetch-users": (anime.FetchUsers, "kerasrec.anime.fetch.fetch_users"),
        "import": (anime.Import, "kerasrec.anime.imports.import_files"),
        "train": (anime.Train, "kerasrec.anime.train.train"),
        "plot": (anime.Plot, "kerasrec.anime.curves.plot"),
        "recommend": (anime.Recommend, "kerasrec.anime.recommend.recommend"),
    },
    "colarec": {
        "prepare": (colarec.Prepare, "kerasrec.colarec.prepare.prepare"),
        "lightgcn": (colarec.LightGcn, "kerasrec.colarec.lightgcn.lightgcn"),
        "identifiers": (colarec.Identifiers, "kerasrec.colarec.identifiers.identifiers"),
        "item-recall": (colarec.ItemRecall, "kerasrec.colarec.item_recall.item_recall"),
        "train": (colarec.Train, "kerasrec.colarec.train.train"),
        "evaluate": (colarec.Evaluate, "kerasrec.colarec.evaluate.evaluate"),
        "export": (colarec.Export, "kerasrec.colarec.export.export"),
        "recommend": (colarec.Recommend, "kerasrec.colarec.recommend.recommend"),
    },
    "convert": {
        "convert": (pretrained.Convert, "kerasrec.pretrained.convert.convert"),  # the only step, so it is not typed
    },
}
