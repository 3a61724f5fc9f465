"""The page as one HTML file: text, data, style, script and Plotly.js all within; it asks the network for nothing."""

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
    """The begin of a page that asks the network for nothing, up to its style.

    Args:
        title: what the browser calls the page, as text.
    """
    return Template(_read("head.html")).substitute(title=escape(title))


def embedded(data: Any) -> str:
    """Data as JSON within a page's script element, which no text in it may end."""
    return json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")


def document(
    markdown: str,
    folder: Path | None,
    groups: Sequence[Group],
    sheets: Mapping[str, Sheet],
    figure: Plot | None = None,
    folded: Sequence[str] = (),
) -> str:
    """The HTML; the same values give the same bytes.

    Args:
        markdown: the tables with the text around them; its first line is the title.
        folder: what pictures within the text are named from; they are put into the page. None: there are none.
        groups: what can be chosen to be shown below the tables; their cards stand above.
        sheets: of pictures, by name; empty for none.
        figure: what stands between the cards and the tables.
        folded: titles of the parts of the text that stand at the end, closed until they are asked for.
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
    """What a part is called in the contents: "Table 1" of "Table 1. Accuracy …"."""
    return title.partition(". ")[0]


def _parts(markdown: str, folder: Path | None) -> list[tuple[str, str]]:
    """Title and HTML of what stands before the first heading of the second level, and of each part below one.

    HTML within the text stays text: names of the user's files may stand in it.
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
    """Put PNG pictures into the text: the page loads no file. One that is not there is named in its place."""
    for child in (child for token in tokens for child in token.children or ()):
        if child.type != "image":
            continue
        path = folder / str(child.attrGet("src"))
        if path.is_file():
            child.attrSet("src", f"data:image/png;base64,{base64.b64encode(path.read_bytes()).decode()}")
        else:
            child.type, child.content = "text", f"({child.content}: {child.attrGet('src')} is not here)"
