"""What commands show."""

from rich.console import Console
from rich.table import Table


def show(table: Table) -> None:
    """Print a table whose texts come from data, and stand there as they are: `[b]` is no markup, `:cat:` no picture.

    Example:
        >>> table = Table("title", box=None)
        >>> table.add_row("a [red] case :cat:")
        >>> show(table)  # doctest: +NORMALIZE_WHITESPACE
        title
        a [red] case :cat:
    """
    Console(markup=False, emoji=False).print(table)
