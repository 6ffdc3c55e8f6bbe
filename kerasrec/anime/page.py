"""A list of recommendations as a page with covers."""

import html
from collections.abc import Sequence
from pathlib import Path

from kerasrec.anime.records import Recommendation, Title
from kerasrec.workspace.atomic_files import replacing

_PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{heading}</title>
<style>
:root {{ color-scheme: light dark; }}
body {{ font: 1rem/1.4 system-ui, sans-serif; margin: 0 auto; max-width: 75rem; padding: 1rem; }}
li, h1 {{ overflow-wrap: anywhere; }}
h1 {{ font-size: 1.5rem; line-height: 1.2; }}
ol {{ display: grid; gap: 1.75rem 1.25rem; grid-template-columns: repeat(auto-fill, minmax(11rem, 1fr)); padding: 0; }}
li {{ list-style: none; min-width: 0; }}
p {{ -webkit-box-orient: vertical; -webkit-line-clamp: 3; display: -webkit-box; margin: .35rem 0; overflow: hidden; }}
.facts, .because {{ font-size: .85rem; opacity: .75; }}
.cover {{ aspect-ratio: 2 / 3; border-radius: .5rem; overflow: hidden; position: relative; }}
.cover > * {{ box-sizing: border-box; height: 100%; inset: 0; position: absolute; width: 100%; }}
.cover img {{ object-fit: cover; }}
.cover div {{
  align-items: center; color: #fff; display: flex; font-weight: 600; justify-content: center; padding: 1rem;
  background: linear-gradient(160deg, hsl(var(--hue) 45% 42%), hsl(var(--hue) 50% 22%)); text-align: center;
}}
@media (max-width: 40rem) {{
  ol {{ gap: 1.25rem .75rem; grid-template-columns: repeat(2, minmax(0, 1fr)); }}
}}
</style>
<h1>{heading}</h1>
<ol>
{entries}
</ol>
</html>
"""


def write_page(path: Path, heading: str, found: Sequence[Recommendation]) -> None:
    """Write a page without other files; the browser loads the covers from AniList.

    Args:
        path: The HTML file.
        heading: The heading.
        found: The list, best first.
    """
    entries = "\n".join(_entry(rank, one) for rank, one in enumerate(found, 1))
    with replacing(path) as unfinished:
        page = _PAGE.format(heading=html.escape(heading), entries=entries)
        unfinished.write_text(page, encoding="utf-8", errors="replace")


def _entry(rank: int, one: Recommendation) -> str:
    title = one.title
    name = html.escape(title.name)
    known = [str(title.year or ""), f"{title.score}/100" if title.score else "", ", ".join(title.genres)]
    facts = html.escape(" · ".join(filter(None, known)))
    because = f"because you liked {html.escape(one.because.name)}" if one.because else ""
    return (
        f'<li>{_cover(title)}<p title="{name}"><b>{rank}. {name}</b></p>{_line("facts", facts)}'
        f"{_line('because', because)}</li>"
    )


def _line(kind: str, text: str) -> str:
    return f'<p class="{kind}" title="{text}">{text}</p>' if text else ""


def _cover(title: Title) -> str:
    """The cover above a coloured placeholder with the title, which is visible if the cover does not load."""
    image = ""
    if title.cover and title.cover.startswith(("https://", "http://")):
        image = f'<img src="{html.escape(title.cover)}" alt="" loading="lazy" onerror="this.remove()">'
    placeholder = f'<div aria-hidden="true"><p>{html.escape(title.name)}</p></div>'
    return f'<div class="cover" style="--hue: {title.id * 137 % 360}">{placeholder}{image}</div>'
