"""The page as one HTML file: text, data, style, script and Plotly.js all within; it asks the network for nothing."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from html import escape
from importlib.resources import files
from itertools import pairwise
from string import Template

from markdown_it import MarkdownIt
from plotly.offline import get_plotlyjs

from pipeline.labels import EXPRESSIONS
from pipeline.reporting.page.content import Group, Sheet


def document(markdown: str, groups: Sequence[Group], sheets: Mapping[str, Sheet]) -> str:
    """The HTML; the same values give the same bytes.

    Args:
        markdown: the tables with the text around them; its first line is the title.
        groups: what can be chosen to be shown below the tables.
        sheets: of pictures, by name; empty for none.
    """
    body, titles = _rendered(markdown)
    data = {
        "expressions": EXPRESSIONS,
        "groups": [group.to_json() for group in groups],
        "sheets": {name: asdict(sheet) for name, sheet in sheets.items()},
    }
    here = files(__package__)
    return Template((here / "page.html").read_text(encoding="utf-8")).substitute(
        title=escape(markdown.partition("\n")[0].removeprefix("# ")),
        contents="\n".join(f'<a href="#part-{number}">{title}</a>' for number, title in enumerate(titles)),
        tables=body,
        # No text within may end the script element that holds it.
        data=json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c"),
        style=(here / "page.css").read_text(encoding="utf-8"),
        script=(here / "page.js").read_text(encoding="utf-8"),
        plotly=get_plotlyjs(),
    )


def _rendered(markdown: str) -> tuple[str, list[str]]:
    """The HTML of ``markdown`` and, already escaped, how its parts are called in the contents; each is ``part-N``.

    HTML within the text stays text: names of the user's files may stand in it.
    """
    parser = MarkdownIt("commonmark", {"html": False}).enable("table")
    tokens = parser.parse(markdown)
    titles: list[str] = []
    for token, inline in pairwise(tokens):
        if token.type == "heading_open" and token.tag == "h2":
            token.attrSet("id", f"part-{len(titles)}")
            titles.append(escape(inline.content.partition(". ")[0]))
    return parser.renderer.render(tokens, parser.options, {}), titles
