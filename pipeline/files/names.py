"""Names of files where they leave the process: in rows, texts, messages, and as names of new files."""

import os
import re
import sys
from pathlib import Path

from pipeline.errors import DatasetError

LONGEST = 255
"""Bytes of a name that the usual file systems take."""

LONGEST_TITLE = 120
"""Bytes of a title, which is part of longer names: of contact sheets, runs and registered models."""


def as_text(name: str | Path) -> str:
    r"""A name or path as every text can hold it: bytes that are not UTF-8 are written as ``\xe9``.

    A name on Linux is any bytes. Python hands those that are not UTF-8 on as lone surrogates, which no file in UTF-8,
    no database and few libraries take.
    """
    return re.sub("[\ud800-\udfff]", lambda byte: f"\\x{ord(byte[0]) & 0xFF:02x}", str(name))


def visible(text: str) -> str:
    """``text`` with escapes in the place of signs that cannot be printed."""
    return "".join(sign if sign.isprintable() else repr(sign)[1:-1] for sign in text)


def shortened(text: str, width: int) -> str:
    """``visible`` of a text; of a long one its last characters, after an ellipsis: ``width`` in all."""
    shown = visible(text)
    return shown if len(shown) <= width else f"…{shown[1 - width :]}"


def title_of(path: Path) -> str:
    """What a file or folder of the user's is called in texts, and in the names of files that are made for it."""
    return fitted(as_text(path.name), "", LONGEST_TITLE)


def fitted(stem: str, ending: str, room: int = LONGEST) -> str:
    """The name ``stem`` + ``ending``; the stem loses its last characters where the name would be too long.

    Args:
        stem: the name without its ending.
        ending: is kept whole.
        room: the most bytes that the name may have.
    """
    while len(os.fsencode(stem + ending)) > room:
        stem = stem[:-1]
    return stem + ending


def is_utf8(path: Path) -> bool:
    """Whether libraries which take paths as UTF-8 find this one: its name, and the system's locale, must be that."""
    return os.fsencode(path) == str(path).encode("utf-8", "surrogatepass")


def require_utf8(path: Path, option: str) -> None:
    """Check that libraries which take paths as UTF-8 can write into a folder.

    Args:
        path: of the folder.
        option: the command's option that names it, for the message.

    Raises:
        DatasetError: the name is not UTF-8, or the system's locale is not and the name has other letters than ASCII.
    """
    if is_utf8(path):
        return
    locale = sys.getfilesystemencoding()
    if locale != "utf-8":
        raise DatasetError(
            f"{path}: cannot be used in a locale of {locale}; set LC_ALL=C.UTF-8, or name a folder of plain letters "
            f"with {option}"
        )
    raise DatasetError(f"{path}: not UTF-8, so not all files could be written there; name another with {option}")
