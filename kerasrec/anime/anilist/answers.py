"""AniList's JSON as typed results."""

from dataclasses import dataclass

from kerasrec.anime.records import ListEntry, Relation, Tag, Title, fuzzy_date


@dataclass(frozen=True)
class TitlePage:
    """A page of titles, and whether another one follows."""

    titles: tuple[Title, ...]
    has_next: bool


@dataclass(frozen=True)
class ListChunk:
    """A chunk of a user's list, and whether another one follows."""

    user_id: int
    score_format: str | None
    entries: tuple[ListEntry, ...]
    has_next: bool


def title_page(data: dict) -> TitlePage:
    """The page in the `data` of an answer.

    Raises:
        KeyError, TypeError, AttributeError: `data` is not of the form that the query asks for.
    """
    page = data["Page"]
    titles = tuple(_title(media) for media in page["media"] if media)
    return TitlePage(titles, bool(page["pageInfo"]["hasNextPage"]))


def list_chunk(data: dict) -> ListChunk:
    """The chunk in the `data` of an answer; a title that stands on several lists of the user comes once.

    Raises:
        KeyError, TypeError, AttributeError: `data` is not of the form that the query asks for.
    """
    collection = data["MediaListCollection"]
    entries = {}
    for group in collection["lists"] or ():
        for entry in group["entries"] or ():
            if entry:
                entries[entry["mediaId"]] = _entry(entry)
    user = collection["user"]
    score_format = (user["mediaListOptions"] or {}).get("scoreFormat")
    return ListChunk(user["id"], score_format, tuple(entries.values()), bool(collection["hasNextChunk"]))


def _title(media: dict) -> Title:
    names, score = media["title"] or {}, media["averageScore"]
    return Title(
        id=media["id"],
        romaji=names.get("romaji"),
        english=names.get("english"),
        native=names.get("native"),
        synonyms=tuple(filter(None, media["synonyms"] or ())),
        mal_id=media["idMal"],
        format=media["format"],
        episodes=media["episodes"],
        year=media["seasonYear"] or (media["startDate"] or {}).get("year"),
        score=media["meanScore"] if score is None else score,  # the weighted one is there from some number of users on
        popularity=media["popularity"],
        cover=(media["coverImage"] or {}).get("large"),
        is_adult=bool(media["isAdult"]),
        genres=tuple(dict.fromkeys(filter(None, media["genres"] or ()))),
        tags=tuple(_tag(tag) for tag in media["tags"] or () if tag),
        relations=tuple(
            Relation(edge["relationType"], edge["node"]["id"])
            for edge in (media["relations"] or {}).get("edges") or ()
            if edge and edge["node"] and edge["node"]["type"] == "ANIME" and edge["relationType"]
        ),
    )


def _tag(tag: dict) -> Tag:
    return Tag(
        id=tag["id"],
        name=tag["name"],
        category=tag["category"],
        rank=tag["rank"],
        is_spoiler=bool(tag["isGeneralSpoiler"] or tag["isMediaSpoiler"]),
        is_adult=bool(tag["isAdult"]),
    )


def _entry(entry: dict) -> ListEntry:
    return ListEntry(
        title=entry["mediaId"],
        status=entry["status"],
        score=round(entry["score"] or 0) or None,  # AniList says 0 where no score was given
        progress=entry["progress"],
        started=_date(entry["startedAt"]),
        completed=_date(entry["completedAt"]),
        updated=entry["updatedAt"] or None,
    )


def _date(date: dict | None) -> str | None:
    return fuzzy_date(date["year"], date["month"], date["day"]) if date else None
