"""Names of files as text, and short enough for a file system."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.errors import DatasetError
from pipeline.files.names import LONGEST, as_text, fitted, is_utf8, require_utf8, shortened, title_of, visible

ROOT = Path(__file__).parents[2]
ODD = os.fsdecode(b"caf\xe9.png")
"""A name in Latin-1, as Python hands it on."""


def test_bytes_that_are_not_utf8_are_written_as_escapes() -> None:
    assert as_text(ODD) == r"caf\xe9.png"
    assert as_text(Path("größer") / ODD) == r"größer/caf\xe9.png"
    as_text("\ud800").encode("utf-8")  # of no file on Linux, but a text may hold it


@pytest.mark.parametrize("stem", ["a" * 300, "ä" * 150, os.fsdecode(b"\xe9" * 300), "short"])
def test_a_name_is_cut_to_what_a_file_system_takes(stem: str, tmp_path: Path) -> None:
    name = fitted(stem, "-2.jpg")
    assert len(os.fsencode(name)) <= LONGEST
    assert name.endswith("-2.jpg")
    assert stem.startswith(name.removesuffix("-2.jpg"))
    (tmp_path / name).touch()


def test_a_title_is_text_and_leaves_room_for_what_is_put_beside_it(tmp_path: Path) -> None:
    assert title_of(tmp_path / os.fsdecode(b"dossier\xe9")) == r"dossier\xe9"
    assert len(title_of(tmp_path / ("a" * 255)).encode()) < LONGEST / 2


def test_signs_that_cannot_be_printed_are_shown() -> None:
    assert visible("a\nb\x1b[31m") == r"a\nb\x1b[31m"


def test_of_a_long_text_the_end_is_shown() -> None:
    assert shortened("abcdef", 6) == "abcdef"
    assert shortened("abcdefg", 6) == "…cdefg"
    assert shortened("ab\ncdefg", 6) == "…cdefg"


def test_a_folder_that_libraries_cannot_name_is_refused() -> None:
    require_utf8(Path("größer"), "--out")
    with pytest.raises(DatasetError, match="not UTF-8, so not all files could"):
        require_utf8(Path(os.fsdecode(b"out\xe9")), "--out")


def test_a_locale_in_which_libraries_find_another_folder_is_told() -> None:
    assert is_utf8(Path("größer"))
    assert not is_utf8(Path(os.fsdecode(b"out\xe9")))
    code = "import sys, pathlib, pipeline.files.names as n; n.require_utf8(pathlib.Path(sys.argv[1]), '--out')"
    ascii_alone = os.environ | {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0", "PYTHONPATH": str(ROOT)}
    for name, said in (("plain", ""), ("größer", "cannot be used in a locale of ascii; set LC_ALL=C.UTF-8, or name")):
        ran = subprocess.run([sys.executable, "-c", code, name], env=ascii_alone, capture_output=True, check=False)
        assert bool(ran.returncode) == bool(said)
        assert said in ran.stderr.decode()
