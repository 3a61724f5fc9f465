"""What files are known by: their SHA-256."""

import hashlib
from collections.abc import Iterable
from pathlib import Path


def sha256(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal, in constant memory."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def code_digests(paths: Iterable[Path]) -> dict[str, str]:
    """The SHA-256 of every Python file that ``paths`` are or hold, by name; a path that is not there is passed over."""
    files = {file for path in paths for file in (path.rglob("*.py") if path.is_dir() else [path]) if file.is_file()}
    return {file.as_posix(): sha256(file) for file in sorted(files)}
