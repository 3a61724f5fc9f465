"""Names of files in rows, texts and messages, and as parts of new names."""

import os
import re
import sys
from pathlib import Path

from pipeline.errors import DatasetError

LONGEST = 255
"""Maximum length of a file name in bytes, on the usual file systems."""

LONGEST_TITLE = 120
"""Maximum length of a title in bytes. Titles are part of longer names: of contact sheets, runs, registered models."""


def as_text(name: str | Path) -> str:
    r"""Return a name or path as valid Unicode: bytes that are not UTF-8 are written as ``\xe9``.

    A file name on Linux may contain any bytes. Python represents those that are not UTF-8 as lone surrogates, which
    UTF-8 files, databases and most libraries refuse.
    """
    return re.sub("[\ud800-\udfff]", lambda byte: f"\\x{ord(byte[0]) & 0xFF:02x}", str(name))


def visible(text: str) -> str:
    """Return ``text`` with escapes in place of characters that cannot be printed."""
    return "".join(sign if sign.isprintable() else repr(sign)[1:-1] for sign in text)


def shortened(text: str, width: int) -> str:
    """Return the last ``width`` characters of ``visible(text)``, the first of them an ellipsis if it was longer."""
    shown = visible(text)
    return shown if len(shown) <= width else f"…{shown[1 - width :]}"


def title_of(path: Path) -> str:
    """Return the title of a user's file or folder, for texts and for names of files that are made from it."""
    return fitted(as_text(path.name), "", LONGEST_TITLE)


def fitted(stem: str, ending: str, room: int = LONGEST) -> str:
    """Return the name ``stem`` + ``ending``, with the stem cut at its end if the name would be too long.

    Args:
        stem: the name without its ending.
        ending: the ending, which is never cut.
        room: the maximum length of the name in bytes.
    """
    while len(os.fsencode(stem + ending)) > room:
        stem = stem[:-1]
    return stem + ending


def is_utf8(path: Path) -> bool:
    """Return whether libraries that expect UTF-8 paths find this one: name and locale must be UTF-8."""
    return os.fsencode(path) == str(path).encode("utf-8", "surrogatepass")


def require_utf8(path: Path, option: str) -> None:
    """Check that libraries that expect UTF-8 paths can write into a folder.

    Args:
        path: the folder.
        option: the command's option for this path, for the message.

    Raises:
        DatasetError: the name is not UTF-8; or the locale is not UTF-8 and the name is not ASCII.
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
