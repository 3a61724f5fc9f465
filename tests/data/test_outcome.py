"""What an adaptation leaves for the evaluation: the samples' rules, and the file."""

from pathlib import Path

import numpy as np
import pytest

from pipeline.data import outcome
from pipeline.data.outcome import Outcome, Predictions, RowSample
from pipeline.errors import DamagedFileError, DatasetError


def test_a_sample_is_seeded_ascending_and_without_repeats() -> None:
    rows = np.arange(100, 200)
    sample = RowSample.draw(rows, seed=0)
    assert sample.rows.tolist() == rows.tolist()  # fewer than are kept
    chosen = sample.rows[sample.first(30)].tolist()
    assert len(set(chosen)) == 30
    assert chosen == sorted(chosen)
    again = RowSample.draw(rows, seed=0)
    assert again.rows[again.first(30)].tolist() == chosen
    other = RowSample.draw(rows, seed=1)
    assert other.rows[other.first(30)].tolist() != chosen
    assert sample.first(1000).all()


def test_however_many_pictures_there_are_so_many_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = RowSample.draw(np.arange(500), seed=4)
    monkeypatch.setattr(outcome, "EMBEDDED", 40)
    sample = RowSample.draw(np.arange(500), seed=4)
    assert len(sample.rows) == 40
    assert sample.rows[sample.first(7)].tolist() == whole.rows[whole.first(7)].tolist()


def test_it_comes_back_as_written_in_the_same_bytes(tmp_path: Path) -> None:
    generator = np.random.Generator(np.random.PCG64(0))
    source, target = RowSample.draw(np.arange(9), 0), RowSample.draw(np.arange(9), 1)
    before, after = (Predictions(*(generator.random((9, k), dtype=np.float32) for k in (7, 7, 4, 4))) for _ in range(2))
    written = Outcome(source, target, before, after)
    for name in ("a.npz", "b.npz"):
        written.write(tmp_path / name)
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    back = Outcome.read(tmp_path / "a.npz")
    for name in ("source", "target", "before", "after"):
        for key, value in vars(getattr(written, name)).items():
            np.testing.assert_array_equal(vars(getattr(back, name))[key], value)
    with pytest.raises(DatasetError, match=r"gone\.npz: missing; run the adapt stage of this target \(gone\)"):
        Outcome.read(tmp_path / "gone.npz")


def test_a_file_that_is_cut_short_is_named(tmp_path: Path) -> None:
    sample = RowSample.draw(np.arange(9), 0)
    predicted = Predictions(*(np.zeros((9, k), dtype=np.float32) for k in (7, 7, 4, 4)))
    Outcome(sample, sample, predicted, predicted).write(tmp_path / "a.npz")
    whole = (tmp_path / "a.npz").read_bytes()
    for length in range(0, len(whole), 50):
        (tmp_path / "a.npz").write_bytes(whole[:length])
        with pytest.raises(DamagedFileError, match=r"a\.npz: the file is damaged"):
            Outcome.read(tmp_path / "a.npz")
