"""Batches: how samples are divided, what a batch is named after, and how much is decoded at a time."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from pipeline.datasets.folder import FolderDataset
from pipeline.datasets.parts.base import Sample
from pipeline.faces import batches as module
from pipeline.faces.batches import FaceBatches, batch_name, divide
from pipeline.faces.crop import Face
from pipeline.faces.finder import Chooser, FaceFinder
from tests.faces.scenes import Picture, noise
from tests.faces.test_extract import PARAMS, Pictures

CPU = torch.device("cpu")


def test_batches_hold_so_many_samples_in_order() -> None:
    samples = [Sample(str(index), None) for index in range(7)]
    assert [[sample.key for sample in batch] for batch in divide(samples, 3)] == [list("012"), list("345"), list("6")]
    assert divide([], 3) == []


def test_a_sequence_is_never_divided() -> None:
    sequences = ["a", "a", "b", "b", "b", "b", None, None, "c"]
    samples = [Sample(str(index), None, sequence=sequence) for index, sequence in enumerate(sequences)]
    assert [len(batch) for batch in divide(samples, 3)] == [6, 3]


def test_a_batch_is_named_after_all_that_it_is_made_from(tmp_path: Path) -> None:
    for key in "ab":
        Image.fromarray(noise(9, 9)).save(tmp_path / f"{key}.png")
    dataset = FolderDataset(tmp_path, "album")
    samples = dataset.samples()
    first = batch_name(dataset, samples, "settings")
    assert batch_name(dataset, samples, "settings") == first
    others = {
        batch_name(dataset, samples, "other settings"),
        batch_name(dataset, samples[:1], "settings"),
        batch_name(dataset, samples[::-1], "settings"),
        batch_name(dataset, [Sample("a.png", 3), samples[1]], "settings"),
    }
    os.utime(tmp_path / "a.png", ns=(1, 1))
    others.add(batch_name(dataset, samples, "settings"))
    (tmp_path / "a.png").unlink()
    others.add(batch_name(dataset, samples, "settings"))
    assert len(others - {first}) == 6


def test_large_pictures_are_decoded_fewer_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []
    find = FaceFinder.find

    def counting(self: FaceFinder, images: list[Picture], sequences: list[str | None], chooser: Chooser) -> list[Face]:
        sizes.append(len(images))
        return find(self, images, sequences, chooser)

    monkeypatch.setattr(FaceFinder, "find", counting)
    monkeypatch.setattr(module, "PIXELS_AT_ONCE", 2 * 81)
    dataset = Pictures(tmp_path, {str(index): noise(9, 9) for index in range(5)})
    done = FaceBatches(dataset, PARAMS, CPU)[dataset.samples()]
    assert sizes == [2, 2, 1]
    assert [row["key"] for row in done.rows] == list("01234")


def test_a_batch_without_any_readable_picture(tmp_path: Path) -> None:
    dataset = Pictures(tmp_path, {"a": "broken", "b": "empty"})
    done = FaceBatches(dataset, PARAMS, CPU)[dataset.samples()]
    assert done.crops.shape == (0, 112, 112, 3)
    assert done.crops.dtype == np.uint8
    assert done.unreadable == {"a": "a: broken", "b": "b: empty"}
