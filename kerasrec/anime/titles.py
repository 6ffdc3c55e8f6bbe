"""Search titles by name, and find sequels that should not be recommended."""

from collections import defaultdict
from collections.abc import Iterable, Sequence

from rapidfuzz import fuzz, process, utils

from kerasrec.anime.records import Title
from kerasrec.errors import KerasrecError, quoted

ALIKE = 80.0
"""Smallest similarity, 0 to 100, of a typed name and a title's name."""


def find_title(text: str, titles: Sequence[Title]) -> Title:
    """The title with the most similar name, in any language and case, with small typing errors.

    The similarity is rapidfuzz's weighted ratio over all names of a title; of equally similar titles the first one is
    returned.

    Args:
        text: The typed name.
        titles: Titles, the most popular first.

    Raises:
        KerasrecError: no title is similar; the message names the nearest ones.

    Example:
        >>> titles = [Title(1, romaji="Shingeki no Kyojin", english="Attack on Titan"), Title(2, romaji="Monster")]
        >>> find_title("atack on titan", titles).name, find_title("shingeki", titles).name
        ('Attack on Titan', 'Attack on Titan')
    """
    named = [(name, title) for title in titles for name in _names(title)]
    names = [name for name, _ in named]
    close = process.extract(text, names, scorer=fuzz.WRatio, processor=utils.default_process, limit=3)
    if not close or close[0][1] < ALIKE:
        nearest = ", ".join(quoted(name, 60) for name, _, _ in close)
        raise KerasrecError(
            f"no title is similar to {quoted(text, 60)}; the nearest are {nearest or 'none'}: give one of them"
        )
    return named[close[0][2]][1]


def unseen_before(titles: Iterable[Title], seen: set[int]) -> set[int]:
    """Ids of sequels whose prequel the user has not seen, or has dropped.

    A title is in the result if any of its direct prequels is not in `seen`, even if the prequel is not in the database.

    Example:
        >>> from kerasrec.anime.records import Relation
        >>> titles = [Title(1, relations=(Relation("SEQUEL", 2),)), Title(2, relations=(Relation("PREQUEL", 1),))]
        >>> unseen_before(titles, seen=set()), unseen_before(titles, seen={1})
        ({2}, set())
    """
    prequels = defaultdict(set)
    for title in titles:
        for relation in title.relations:
            if relation.kind == "PREQUEL":
                prequels[title.id].add(relation.title)
            elif relation.kind == "SEQUEL":
                prequels[relation.title].add(title.id)
    return {title for title, before in prequels.items() if not before <= seen}


def _names(title: Title) -> list[str]:
    return [name for name in (title.english, title.romaji, title.native, *title.synonyms) if name]
