"""JAFFE: everything is in the file name."""

from pathlib import Path

import pytest

from pipeline.datasets import open_dataset
from pipeline.errors import DatasetError
from pipeline.labels import EXPRESSIONS
from tests.datasets.drawing import save


def test_codes_and_subjects(tmp_path: Path) -> None:
    codes = ("AN", "DI", "FE", "HA", "SA", "SU", "NE")
    for number, code in enumerate(codes):
        save(tmp_path / f"KA.{code}1.{number + 39}.tiff")
    save(tmp_path / "YM.NE3.12.tiff")
    (tmp_path / "README").write_text("as in the release")

    dataset = open_dataset("jaffe", tmp_path)
    samples = dataset.samples()

    assert {s.key.split(".")[1][:2]: s.label for s in samples} == dict(zip(codes, range(len(EXPRESSIONS)), strict=True))
    assert [s.subject for s in samples] == ["KA"] * 7 + ["YM"]
    assert {(s.sequence, s.split) for s in samples} == {(None, None)}
    assert dataset.read(samples[0]).shape == (7, 9, 3)


@pytest.mark.parametrize(
    ("name", "message"),
    [("KA.XX1.39.tiff", r"KA\.XX1\.39\.tiff: unknown expression code 'XX'"), ("me.tiff", r"me\.tiff: the name is not")],
)
def test_a_foreign_name_is_refused(tmp_path: Path, name: str, message: str) -> None:
    save(tmp_path / "KA.AN1.39.tiff")
    save(tmp_path / name)

    with pytest.raises(DatasetError, match=message):
        open_dataset("jaffe", tmp_path).samples()
