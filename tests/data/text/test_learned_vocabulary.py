import os
import subprocess
import sys

import numpy as np
import pytest

from kerasrec.data.text.learned_vocabulary import learn_vocabulary
from kerasrec.data.text.tokenizer import SPECIALS
from kerasrec.errors import KerasrecError

ENGLISH = ["where can i buy red tea", "where can i buy red cups", "which shop sells tea cups", "tea tea tea"]
CHINESE = ["在哪里可以买到红茶", "哪家店卖红茶", "红茶多少钱", "退货要多少钱"]


def test_words_of_the_texts_are_known():
    tokenizer = learn_vocabulary(ENGLISH * 5)
    offsets, ids = tokenizer.encode(ENGLISH)
    assert np.diff(offsets).tolist() == [len(text.split()) for text in ENGLISH], "frequent words are one token"
    assert [tokenizer.decode(ids[a:b]) for a, b in zip(offsets, offsets[1:], strict=False)] == ENGLISH
    assert tokenizer.unk not in tokenizer.encode(["spell shop whisper"])[1], "other words have the same characters"
    assert tokenizer.encode(["zebra"])[1].tolist() == [tokenizer.unk]


def test_chinese_is_tokenised_by_characters():
    tokenizer = learn_vocabulary(CHINESE * 5)
    assert tokenizer.tokens == [*SPECIALS, *sorted(set("".join(CHINESE)))]


def test_lower_case_and_quotation_marks_are_those_of_the_tokenizer():
    texts = ["Red “Tea”", "Red ‘Cup’"] * 3
    assert "red" in learn_vocabulary(texts).tokens and "Red" in learn_vocabulary(texts, lower_case=False).tokens
    assert '"' in learn_vocabulary(texts, ascii_quotes=True).tokens and "“" in learn_vocabulary(texts).tokens


def test_rare_characters_are_left_out(logged):
    tokenizer = learn_vocabulary(["红 红 茶 茶 店", "a"], size=len(SPECIALS) + 2)
    assert tokenizer.tokens == [*SPECIALS, "红", "茶"]
    assert "2 of 4 characters are rare and left out" in logged()


def test_texts_without_a_word():
    with pytest.raises(KerasrecError, match="no word to learn a vocabulary from"):
        learn_vocabulary(["", "\u200b  "])


def test_another_process_learns_the_same():
    texts = [f"{a}{b}{c} {c}{a}" for a in "abcdef" for b in "ghijk" for c in "lmnop"]
    code = (
        "import sys; from kerasrec.data.text.learned_vocabulary import learn_vocabulary;"
        "print(learn_vocabulary(sys.argv[1:]).tokens)"
    )
    learned = {
        subprocess.run(
            [sys.executable, "-c", code, *texts],
            capture_output=True,
            text=True,
            check=True,
            env=os.environ | {"PYTHONHASHSEED": seed},
        ).stdout
        for seed in ("1", "2", "3")
    }
    assert learned == {f"{learn_vocabulary(texts).tokens}\n"}
