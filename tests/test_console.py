import pytest
from rich.table import Table

from kerasrec.console import show


@pytest.mark.parametrize("text", ["wallet [illuzion] [Mandarine Black]", "a [/b] case", "[red]case", ":cat: case"])
def test_texts_stand_in_a_table_as_they_are(capsys, text):
    table = Table("title", title=text)
    table.add_row(text)
    show(table)
    assert capsys.readouterr().out.count(text) == 2
