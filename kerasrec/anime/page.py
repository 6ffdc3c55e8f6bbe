"""A list of recommendations as a page with covers."""

import html
from collections.abc import Sequence
from pathlib import Path

from kerasrec.anime.records import Recommendation
from kerasrec.data.files import replacing

_PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>{heading}</title>
<style>
body {{ font-family: system-ui, sans-serif; margin: 2rem auto; max-width: 70rem; padding: 0 1rem; }}
ol {{ display: grid; gap: 1.5rem; grid-template-columns: repeat(auto-fill, minmax(11rem, 1fr)); padding: 0; }}
li {{ list-style: none; }}
img, .none {{ aspect-ratio: 2 / 3; background: #ddd; border-radius: .4rem; object-fit: cover; width: 100%; }}
p {{ margin: .3rem 0; }}
small {{ color: #555; }}
</style>
<h1>{heading}</h1>
<ol>
{entries}
</ol>
</html>
"""


def write_page(path: Path, heading: str, found: Sequence[Recommendation]) -> None:
    """Write a page that needs nothing but the covers, which the reader's browser loads from where AniList keeps them.

    Args:
        path: The HTML file.
        heading: What stands above the list.
        found: The list, best first.
    """
    entries = "\n".join(_entry(rank, one) for rank, one in enumerate(found, 1))
    with replacing(path) as unfinished:
        unfinished.write_text(_PAGE.format(heading=html.escape(heading), entries=entries), encoding="utf-8")


def _entry(rank: int, one: Recommendation) -> str:
    title = one.title
    name = html.escape(title.name)
    has_cover = title.cover and title.cover.startswith(("https://", "http://"))
    cover = f'<img src="{html.escape(title.cover)}" alt="" loading="lazy">' if has_cover else '<div class="none"></div>'
    facts = [str(title.year or ""), f"{title.score}/100" if title.score else "", ", ".join(title.genres)]
    because = f"<p><small>because you liked {html.escape(one.because.name)}</small></p>" if one.because else ""
    return f"<li>{cover}<p><b>{rank}. {name}</b></p><p>{html.escape(' · '.join(filter(None, facts)))}</p>{because}</li>"
