"""A page as one HTML file with text, data, style, scripts and Plotly.js; it needs no network."""

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from html import escape
from importlib.resources import files
from itertools import pairwise
from pathlib import Path
from string import Template
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.token import Token
from plotly.offline import get_plotlyjs

from pipeline.labels import EXPRESSIONS
from pipeline.reporting.page.content import Group, Plot, Sheet


def head(title: str) -> str:
    """Return the beginning of a page, up to its style, with a policy that forbids network access.

    Args:
        title: title of the page, as plain text.
    """
    return Template(_read("head.html")).substitute(title=escape(title))


def embedded(data: Any) -> str:
    """Return data as JSON for a script element; ``</script>`` in a text is escaped."""
    return json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")


def document(
    markdown: str,
    folder: Path | None,
    groups: Sequence[Group],
    sheets: Mapping[str, Sheet],
    figure: Plot | None = None,
    folded: Sequence[str] = (),
) -> str:
    """Return the HTML; the same values give the same bytes.

    Args:
        markdown: the text with tables; its first line is the title.
        folder: base folder of pictures in the text, which are embedded; None: there are none.
        groups: selectable groups, shown below the tables; their cards are above.
        sheets: sprite sheets by name.
        figure: a plot between the cards and the tables.
        folded: titles of the parts of the text that are at the end and initially collapsed.
    """
    lead, *parts = _parts(markdown, folder)
    data = {
        "expressions": EXPRESSIONS,
        "groups": [group.to_json() for group in groups],
        "sheets": {name: asdict(sheet) for name, sheet in sheets.items()},
        "figure": figure.to_json() if figure else None,
    }
    sections = {title: f'<section id="part-{place}">\n{html}</section>' for place, (title, html) in enumerate(parts)}
    links = {title: f'<a href="#part-{place}">{escape(_short(title))}</a>' for place, title in enumerate(sections)}
    below = [title for title in sections if title in folded]
    return Template(_read("page.html")).substitute(
        head=head(markdown.partition("\n")[0].removeprefix("# ")),
        contents="\n".join(links[title] for title in sections if title not in below),
        contents_below="\n".join(links[title] for title in below),
        lead=lead[1],
        tables="\n".join(html for title, html in sections.items() if title not in below),
        folded="\n".join(
            f"<details><summary>{escape(title)}</summary>\n{sections[title]}\n</details>" for title in below
        ),
        data=embedded(data),
        style=_read("page.css"),
        script=_read("page.js"),
        plotly=get_plotlyjs(),
    )


def _read(name: str) -> str:
    return files(__package__).joinpath(name).read_text(encoding="utf-8")


def _short(title: str) -> str:
    """Return the short title of a part for the table of contents: "Table 1" for "Table 1. Accuracy …"."""
    return title.partition(". ")[0]


def _parts(markdown: str, folder: Path | None) -> list[tuple[str, str]]:
    """Return title and HTML of the text before the first second-level heading, and of each part below one.

    HTML in the text is escaped, because it may contain names of the user's files.
    """
    parser = MarkdownIt("commonmark", {"html": False}).enable("table")
    tokens = parser.parse(markdown)
    if folder is not None:
        _embed(tokens, folder)
    starts = [place for place, token in enumerate(tokens) if token.type == "heading_open" and token.tag == "h2"]
    bounds = [0, *starts, len(tokens)]
    return [
        (tokens[start + 1].content, parser.renderer.render(tokens[start:end], parser.options, {}))
        for start, end in pairwise(bounds)
    ]


def _embed(tokens: Sequence[Token], folder: Path) -> None:
    """Embed PNG pictures in the text; a missing one is replaced by its name."""
    for child in (child for token in tokens for child in token.children or ()):
        if child.type != "image":
            continue
        path = folder / str(child.attrGet("src"))
        if path.is_file():
            child.attrSet("src", f"data:image/png;base64,{base64.b64encode(path.read_bytes()).decode()}")
        else:
            child.type, child.content = "text", f"({child.content}: {child.attrGet('src')} is not here)"
