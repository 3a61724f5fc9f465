"""Reading of a set's text files: lists with one picture per line, CSV tables, single labels.

The files must be UTF-8. Byte order marks are ignored (concatenated files have several), and so is a line that tells
spreadsheets the separator. Line ends may be those of any system. Other files are refused with file and line.
"""

import csv
import re
from collections.abc import Callable, Iterator
from itertools import chain, islice
from pathlib import Path

from pipeline.datasets.parts.base import Dataset
from pipeline.errors import DatasetError, short_repr
from pipeline.files.names import as_text

MakeError = Callable[[str], DatasetError]

MARKS = (b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")
"""Byte order marks of UTF-8, and of UTF-16 in both byte orders."""

LONGEST_HEADER = 1 << 20
"""Maximum number of bytes to read for recognising a table, because any file may lie beside one."""

DELIMITERS = ",;\t"
"""Possible column separators. Spreadsheets write semicolons if the comma is the decimal sign."""

SEPARATOR = re.compile(r'\s*"?sep=[,;\s]"?[,;\s]*', re.IGNORECASE)
"""A line above the header that tells spreadsheets the separator, such as ``sep=;``."""


def is_blank(line: str) -> bool:
    """Return whether a line contains nothing of a list or table: it is blank, or tells spreadsheets the separator."""
    return not line or line.isspace() or SEPARATOR.fullmatch(line) is not None


def read_text(path: Path, error: MakeError) -> str:
    """Return the whole text of a small file.

    Args:
        path: the file.
        error: makes the error to raise: a data set's ``error``, or ``DatasetError`` if the file belongs to no set.

    Raises:
        DatasetError: as in ``list_lines``.
    """
    return "".join(line for _, line in _lines(path, error))


def list_lines(dataset: Dataset, path: Path) -> Iterator[tuple[str, str]]:
    """Yield the lines of a list that are not blank.

    Args:
        dataset: the set that the list belongs to.
        path: the list.

    Yields:
        The line's position (for errors), and its text without surrounding blanks.

    Raises:
        DatasetError: the file cannot be read, or a line is not UTF-8.
    """
    for where, line in _lines(path, dataset.error):
        if not is_blank(line):
            yield where, line.strip()


def table_rows(path: Path, error: MakeError) -> Iterator[tuple[str, list[str]]]:
    """Yield the rows of a CSV file that are not empty; the first is the header.

    A quoted field may contain line breaks, because names of pictures may contain them.

    Args:
        path: the file.
        error: as in ``read_text``.

    Yields:
        The row's first line (for errors), and its fields without surrounding blanks.

    Raises:
        DatasetError: as in ``read_text``; or a quote is not closed, or a field is longer than 128 kB.
    """
    lines = (line for _, line in _lines(path, error))
    above, header = next(((above, line) for above, line in enumerate(lines) if not is_blank(line)), (0, ""))
    reader = csv.reader(chain([header], lines), strict=True, skipinitialspace=True, delimiter=delimiter_of(header))
    while True:
        where = f"{as_text(path)}, line {above + reader.line_num + 1}"
        try:
            fields = [field.strip() for field in next(reader)]
        except StopIteration:
            return
        except csv.Error as fault:
            raise error(f"{where}: not a row of a table ({fault}); correct the line") from None
        if any(fields):
            yield where, fields


def columns_of(dataset: Dataset, path: Path, names: tuple[str, ...]) -> Iterator[tuple[str, list[str]]]:
    """Yield the fields of some columns of a CSV file, row by row.

    Args:
        dataset: the set that the table belongs to.
        path: the table.
        names: names of the columns, in any case.

    Yields:
        The row's position (for errors), and one field for each of ``names``.

    Raises:
        DatasetError: as in ``table_rows``; or a column is missing or occurs twice; or a row has another number of
            fields than the header.
    """
    rows = table_rows(path, dataset.error)
    where, header = next(rows, (f"{path}, line 1", []))
    head = [name.casefold() for name in header]
    for name in names:
        if name.casefold() not in head:
            found = short_repr(", ".join(header))
            raise dataset.error(f"{where}: no column {name!r}, found {found}; unpack the table again")
        if head.count(name.casefold()) > 1:
            raise dataset.error(f"{where}: two columns {name!r}; remove the one that does not belong to the set")
    places = [head.index(name.casefold()) for name in names]
    for where, fields in rows:
        if len(fields) != len(head):
            raise dataset.error(f"{where}: {len(fields)} columns instead of {len(head)}; correct the line")
        yield where, [fields[place] for place in places]


def number_of(text: str) -> float:
    """Convert a text to a number. ``1_0`` is a misprint, although Python reads it as 10.

    Raises:
        ValueError: it is not a number.
    """
    if "_" in text:
        raise ValueError(f"not a number: {text!r}")
    return float(text)


def delimiter_of(header: str) -> str:
    """Return the separator of a table with this header: the one of ``DELIMITERS`` that occurs most often."""
    return max(DELIMITERS, key=header.count)


def first_lines(path: Path, count: int) -> list[str]:
    """Return the first lines of a file that are not blank, to recognise a table in any encoding.

    Byte order marks and zero bytes are removed.

    Returns:
        ``count`` lines; empty ones if the file has fewer.

    Raises:
        DatasetError: the file cannot be read.
    """
    try:
        with path.open("rb") as file:
            start = file.read(LONGEST_HEADER)
    except OSError as error:
        raise DatasetError(f"{path}: {error.strerror}; make the file readable or move it away") from error
    while mark := next((mark for mark in MARKS if start.startswith(mark)), None):
        start = start.removeprefix(mark)
    decoded = (line.decode("utf-8", errors="replace") for line in start.replace(b"\0", b"").splitlines())
    return [*islice((line for line in decoded if not is_blank(line)), count), *[""] * count][:count]


def require_utf8(error: MakeError, where: str, line: str) -> None:
    """Check a line that was decoded with ``errors="surrogateescape"``.

    Raises:
        DatasetError: it contains bytes that are not UTF-8, or zero bytes.
    """
    wrong = None if line.isascii() else re.search("[\udc80-\udcff]", line)
    if line.startswith(("\udcff\udcfe", "\udcfe\udcff")):
        why = "it is UTF-16"
    elif wrong:
        why = f"byte 0x{ord(wrong[0]) - 0xDC00:02x}"
    elif "\0" in line:
        why = "zero bytes, as in UTF-16 or in a damaged file"
    else:
        return
    raise error(f"{where}: not a text in UTF-8 ({why}); save the file as UTF-8, or unpack it again")


def _lines(path: Path, error: MakeError) -> Iterator[tuple[str, str]]:
    """Yield all lines with their positions, without byte order marks; raise an error if one is not UTF-8."""
    try:
        with path.open(encoding="utf-8", errors="surrogateescape") as file:
            for number, line in enumerate(file, start=1):
                where = f"{as_text(path)}, line {number}"
                require_utf8(error, where, line)
                yield where, line.lstrip("\ufeff")
    except OSError as refused:
        raise error(
            f"{as_text(path)}: cannot be read ({refused.strerror}); make the file readable, or unpack it again"
        ) from refused
