"""Every query against AniList's own schema, and the part of it that stands in for the whole where there is no data."""

from pathlib import Path

import graphql
import pytest

from kerasrec.anime.anilist import queries

QUERIES = {name: text for name, text in vars(queries).items() if name.isupper() and isinstance(text, str)}


@pytest.mark.parametrize("name", QUERIES)
def test_a_query_is_valid_in_anilists_schema(name, anilist_schema):
    assert not graphql.validate(graphql.build_schema(anilist_schema), graphql.parse(QUERIES[name]))


def test_all_queries_are_in_one_module():
    assert set(QUERIES) == {"TITLE_PAGE", "LIST_CHUNK"}
    package = Path(queries.__file__).parents[1]
    assert [path.name for path in package.rglob("*.py") if "\nquery " in path.read_text("utf-8")] == ["queries.py"]


def test_no_query_asks_for_what_anilist_calls_unreliable():
    text = "".join(QUERIES.values())
    assert not any(word in text for word in ("lastPage", "total", "statusLists", "customLists"))


def test_the_schema_of_the_test_server_is_part_of_anilists(server, anilist_schema):
    whole, part = graphql.build_schema(anilist_schema), graphql.build_schema(server.SCHEMA)
    compared = 0
    for name, kind in part.type_map.items():
        if name.startswith("__"):
            continue
        if isinstance(kind, graphql.GraphQLEnumType):
            assert set(kind.values) <= set(whole.type_map[name].values)
        elif isinstance(kind, graphql.GraphQLObjectType):
            for field, definition in kind.fields.items():
                known = whole.type_map[name].fields[field]
                assert str(definition.type) == str(known.type), (name, field)
                for argument, given in definition.args.items():
                    assert str(given.type) == str(known.args[argument].type), (name, field, argument)
                compared += 1
    assert compared > 50
