"""What becomes of errors that reach a command."""

import errno
import os
from pathlib import Path

import pytest
import typer

from pipeline.command_line import reported


@pytest.mark.parametrize(
    ("number", "name", "told"),
    [
        (errno.ENOSPC, None, "error: a file below {here}: cannot be written (No space left on device)"),
        (errno.EFBIG, None, "error: a file below {here}: cannot be written (File too large)"),
        (errno.ENOSPC, "out.png", "error: out.png: cannot be written (No space left on device)"),
        (errno.EACCES, "out.png", "error: out.png: cannot be written (Permission denied)"),
        (errno.EACCES, None, None),
        (errno.EBADF, "out.png", None),
    ],
)
def test_a_disk_at_fault_is_reported_also_where_no_file_is_named(
    number: int, name: str | None, told: str | None, capsys: pytest.CaptureFixture[str]
) -> None:
    @reported
    def refused() -> None:
        raise OSError(number, os.strerror(number), *([name] if name else []))

    with pytest.raises(typer.Exit if told else OSError):
        refused()
    if told:
        assert capsys.readouterr().err.startswith(told.format(here=Path.cwd()))
