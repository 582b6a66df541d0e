"""A page of HTML that needs nothing else: no scripts, no files, no network. All texts are escaped."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape

#: The first line of every page, by which one that is there already is known for a report.
MARK = "<!DOCTYPE html><!-- a report written by Diffucurate -->"

# The policy lets a browser load nothing, whatever a text may hold.
_HEAD = """<html lang="en"><head><meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; img-src data:">
<meta name="viewport" content="width=device-width"><title>{title}</title>
<style>
body {{ font: 15px/1.5 system-ui, sans-serif; max-width: 60em; margin: 2em auto; padding: 0 1em; color: #222; }}
h2 {{ border-bottom: 1px solid #ddd; margin-top: 2em; }}
table {{ border-collapse: collapse; margin: 1em 0; }}
th, td {{ padding: 2px 12px 2px 0; text-align: left; border-bottom: 1px solid #eee; vertical-align: top; }}
td.number {{ text-align: right; font-variant-numeric: tabular-nums; }}
svg {{ max-width: 100%; height: auto; }}
svg text {{ font: 12px system-ui, sans-serif; fill: currentColor; }}
.none {{ color: #777; }}
.images {{ display: flex; flex-wrap: wrap; gap: 12px; }}
figure {{ margin: 0; max-width: 260px; }}
figure img {{ max-width: 100%; }}
figcaption {{ font-size: 13px; }}
@media (prefers-color-scheme: dark) {{ body {{ background: #181818; color: #ddd; }} }}
</style></head><body>
"""


@dataclass(frozen=True)
class Html:
    """Text that is HTML already, as opposed to one that is still to be escaped."""

    text: str


@dataclass(frozen=True)
class Section:
    """A part of the page: what it shows or, in one sentence, ``why`` it shows nothing.

    ``figures`` are the numbers that it is about, by name.
    """

    title: str
    parts: Sequence[Html] = ()
    why: str = ""
    figures: tuple[tuple[str, float], ...] = ()


def paragraph(text: str) -> Html:
    return Html(f"<p>{escape(text)}</p>")


def table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> Html:
    """A table; numbers stand to the right, fractions with three decimals, None is empty."""
    head = "".join(f"<th>{escape(name)}</th>" for name in header)
    body = "".join(f"<tr>{''.join(_cell(value) for value in row)}</tr>" for row in rows)
    return Html(f"<table><tr>{head}</tr>{body}</table>")


def images(pairs: Iterable[tuple[str, str]]) -> Html:
    """Images as data URIs, each with a text below it."""
    figures = (
        f'<figure><img src="{escape(uri)}" alt=""><figcaption>{escape(text)}</figcaption></figure>'
        for uri, text in pairs
    )
    return Html(f'<div class="images">{"".join(figures)}</div>')


def page(title: str, introduction: Sequence[Html], sections: Sequence[Section]) -> str:
    """The whole page."""
    parts = [MARK, "\n", _HEAD.format(title=escape(title)), f"<h1>{escape(title)}</h1>\n"]
    parts += [part.text for part in introduction]
    for section in sections:
        parts.append(f"<h2>{escape(section.title)}</h2>\n")
        parts += [f"{part.text}\n" for part in section.parts]
        if section.why:
            parts.append(f'<p class="none">{escape(section.why)}</p>\n')
    return "".join([*parts, "</body></html>\n"])


def _cell(value: object) -> str:
    if value is None:
        return "<td></td>"
    if isinstance(value, bool) or not isinstance(value, int | float):
        return f"<td>{escape(str(value))}</td>"
    return f'<td class="number">{value:,.3f}</td>' if isinstance(value, float) else f'<td class="number">{value:,}</td>'
