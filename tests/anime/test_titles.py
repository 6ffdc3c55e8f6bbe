import pytest

from kerasrec.anime.records import Relation, Title
from kerasrec.anime.titles import find_title, unseen_before
from kerasrec.errors import KerasrecError

TITLES = [
    Title(1, romaji="Shingeki no Kyojin", english="Attack on Titan", native="進撃の巨人", synonyms=("AoT", "SnK")),
    Title(2, romaji="Hagane no Renkinjutsushi: FULLMETAL ALCHEMIST", english="Fullmetal Alchemist: Brotherhood"),
    Title(3, romaji="Hagane no Renkinjutsushi", english="Fullmetal Alchemist"),
    Title(4, romaji="Shingeki no Kyojin Season 2", english="Attack on Titan Season 2"),
    Title(5),
]


@pytest.mark.parametrize(
    ("typed", "title"),
    [
        ("Attack on Titan", 1),
        ("atack on titn", 1),
        ("ATTACK ON TITAN!!", 1),
        ("進撃の巨人", 1),
        ("snk", 1),
        ("shingeki no kyojin season 2", 4),
        ("Fullmetal Alchemist", 3),
        ("fullmetal alchemist brotherhod", 2),
    ],
)
def test_a_typed_name_finds_its_title(typed, title):
    assert find_title(typed, TITLES).id == title


@pytest.mark.parametrize("typed", ["qqqq zzzz", "", "?!"])
def test_a_name_without_a_similar_title_is_refused(typed):
    with pytest.raises(KerasrecError, match="no title is similar to"):
        find_title(typed, TITLES)


def test_an_empty_list_of_titles_is_refused():
    with pytest.raises(KerasrecError, match="none"):
        find_title("Monster", [])


def test_sequels_of_unseen_titles():
    titles = [
        Title(1, relations=(Relation("SEQUEL", 2), Relation("SIDE_STORY", 9))),
        Title(2, relations=(Relation("PREQUEL", 1), Relation("SEQUEL", 3))),
        Title(3),  # knows nothing of it itself
        Title(4, relations=(Relation("PREQUEL", 77),)),  # of one that is not in the database
        Title(9),
    ]
    assert unseen_before(titles, set()) == {2, 3, 4}
    assert unseen_before(titles, {1}) == {3, 4}
    assert unseen_before(titles, {1, 2, 77}) == set()
