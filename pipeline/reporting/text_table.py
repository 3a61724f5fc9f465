"""Tables for the terminal."""

from collections.abc import Sequence

GAP = "  "


def text_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table in plain text under its head; the first column is aligned left, the others right."""
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    lines = [
        GAP.join(
            [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]
        )
        for row in (head, *rows)
    ]
    return "\n".join(line.rstrip() for line in lines)
