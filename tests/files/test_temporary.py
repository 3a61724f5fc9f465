"""Temporary files on a disk that is full, or may not be written."""

import errno
import os
import shutil
import tempfile
from collections import namedtuple
from pathlib import Path

import pytest

from pipeline.errors import StorageError, WeightsError
from pipeline.files.atomic import storage_error
from pipeline.files.temporary import temporary_folder, temporary_root

Usage = namedtuple("Usage", "total used free")


def fail_within(error: Exception | None) -> None:
    """Raise ``error`` in a temporary folder; None: what a library says of several files at once."""
    with temporary_folder() as folder:
        reason = os.strerror(errno.ENOSPC)
        raise error or RuntimeError(f"2 files failed: [Errno 28] {reason}: '/store/a' -> '{folder}/a'; …")


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The system's temporary folder."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_the_full_disk_is_named_however_a_library_says_it(root: Path) -> None:
    with pytest.raises(StorageError, match=rf"{root}: there is no room for temporary files.*TMPDIR"):
        fail_within(None)
    assert list(root.iterdir()) == []


def test_a_library_that_does_not_say_it_has_failed_for_want_of_room(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(1 << 30, (1 << 30) - 1, 1))
    with pytest.raises(StorageError, match=f"{root}: there is no room"):
        fail_within(RuntimeError("unexpected pos 640 vs 533"))
    with pytest.raises(WeightsError, match="its own message"):
        fail_within(WeightsError("its own message"))


def test_a_message_of_this_project_says_what_to_do_with_that_folder(root: Path) -> None:
    with (
        pytest.raises(StorageError, match=rf"{root}: there is no room for temporary files.*TMPDIR"),
        temporary_folder() as folder,
    ):
        raise storage_error(folder / "model", OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))


@pytest.mark.usefixtures("root")
def test_the_disk_that_a_file_is_copied_to_is_not_taken_for_that_of_the_folder() -> None:
    with pytest.raises(OSError, match="No space left") as raised, temporary_folder() as folder:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), f"{folder}/a", None, "/project/mlruns/a")
    assert not isinstance(raised.value, StorageError)


@pytest.mark.usefixtures("root")
def test_other_errors_stay_what_they_are() -> None:
    elsewhere = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/project/mlruns/a")
    for error in (ZeroDivisionError(), elsewhere):
        with pytest.raises(type(error)) as raised:
            fail_within(error)
        assert raised.value is error


def test_where_nothing_can_be_written_the_folders_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def none() -> str:
        raise FileNotFoundError(errno.ENOENT, "No usable temporary directory found in ['/tmp', '/home/me']")

    monkeypatch.setattr(tempfile, "gettempdir", none)
    with pytest.raises(StorageError, match=r"found in \['/tmp', '/home/me'\]: make room in one of them"):
        temporary_root()
