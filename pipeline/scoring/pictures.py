"""The labelled pictures to score: a data set of params.yaml, or a folder."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipeline.config import paths
from pipeline.config.load import load
from pipeline.config.pictures import FaceParams
from pipeline.config.project import PARAMS, params_file
from pipeline.config.schema import Params
from pipeline.data.crops import CropStore
from pipeline.data.prepared import PreparedData
from pipeline.datasets import DATASETS, open_dataset
from pipeline.datasets.folder import FolderDataset
from pipeline.datasets.parts.base import Dataset, Sample
from pipeline.errors import DatasetError, ParamsError
from pipeline.files.names import title_of
from pipeline.registry import NAME, unknown

PARTS = ("train", "val", "test")
ALL = "all"
DIVIDED = "divided"
"""Choices of ``--part``: an official part, all pictures, or the test rows of the split made by dvc repro."""

CHOICES = (DIVIDED, *PARTS, ALL)


@dataclass(frozen=True, eq=False)
class LabelledPictures:
    """Labelled pictures of one data set.

    Attributes:
        dataset: reader of these pictures only.
        samples: the samples, at least two, sorted by key.
        part: the chosen part, in words.
        prepared: the crops and split made by dvc repro; None if there are none.
    """

    dataset: Dataset
    samples: Sequence[Sample]
    part: str
    prepared: PreparedData | None

    @classmethod
    def open(cls, where: str, reader: str | None, part: str | None, params: Path | None) -> Self:
        """Find the pictures.

        Args:
            where: a data set of the parameter file, or a folder.
            reader: the data set whose layout the folder has; None: one sub-folder per class.
            part: one of ``CHOICES``; None: the test rows made by dvc repro, else the official test part, else the
                official validation part, else all.
            params: the parameter file; None: params.yaml, if there is one.

        Raises:
            DatasetError: the data set or folder does not exist, or fewer than two pictures have a label.
            ParamsError: reader or part is unknown.
        """
        if part is not None and part not in CHOICES:
            raise ParamsError(f"--part: unknown part {unknown(part, CHOICES)}")
        dataset, prepared = _opened(where, reader, params)
        samples = dataset.samples()
        tested = None if prepared is None else set(_keys(prepared, prepared.split.test))
        wanted, said = _part(dataset, samples, part, tested)
        labelled = [sample for sample in wanted if sample.label is not None]
        if len(labelled) < 2:
            raise DatasetError(
                f"{dataset.root}: {len(labelled)} labelled pictures in {said}, too few to score anything: sort them "
                "into a folder a class, or name another part with --part"
            )
        return cls(_Chosen(dataset, labelled), labelled, said, prepared)

    @property
    def keys(self) -> list[str]:
        """The keys of the pictures."""
        return [sample.key for sample in self.samples]

    def labels(self) -> NDArray[np.int64]:
        """Return the labels, N int64."""
        return np.array([sample.label for sample in self.samples], dtype=np.int64)

    def table(self) -> pd.DataFrame:
        """Return columns ``subject`` and ``sequence`` for ``pipeline.evaluation.resampling.units``."""
        rows = [(sample.subject, sample.sequence) for sample in self.samples]
        return pd.DataFrame(rows, columns=["subject", "sequence"], dtype="string")

    def at_hand(self, faces: FaceParams) -> CropStore | None:
        """Return the crops made by dvc repro if they have these face parameters and contain every picture."""
        if self.prepared is None or self.prepared.store.description["faces"] != faces.model_dump(mode="json"):
            return None
        store = self.prepared.store
        return store if set(self.keys) <= set(store.samples["key"]) else None


class _Chosen(Dataset):
    """A data set restricted to some of its samples."""

    def __init__(self, whole: Dataset, samples: Iterable[Sample]) -> None:
        self.name, self.title, self.layout, self.unit = whole.name, whole.title, whole.layout, whole.unit
        self.caveat = whole.caveat
        self._whole, self._samples = whole, list(samples)
        super().__init__(whole.root)

    @property
    def aligned(self) -> bool:
        return self._whole.aligned

    def scan(self) -> list[Sample]:
        return self._samples

    def read(self, sample: Sample) -> NDArray[np.uint8]:
        return self._whole.read(sample)

    def file(self, sample: Sample) -> Path:
        return self._whole.file(sample)


def _opened(where: str, reader: str | None, params: Path | None) -> tuple[Dataset, PreparedData | None]:
    """Return the data set, and the crops and split made by dvc repro, if any."""
    if reader is not None:
        if reader not in DATASETS:
            raise ParamsError(f"--reader: {DATASETS.absent(reader)}")
        return DATASETS[reader](Path(where)), None
    known: tuple[str, ...] = ()
    file = params_file(params)
    if re.fullmatch(NAME, where) and file is not None:
        settings = load(file)
        known = (*settings.data.sets, *settings.data.folder_sets)
        if where in known:
            return open_dataset(where, Path(settings.data.root) / where), _prepared(settings, where)
    if not Path(where).is_dir():
        of = file or PARAMS
        sets = f"; sets of {of}: {', '.join(known)}" if known else ""
        raise DatasetError(f"{where}: no such folder, and no set of {of}{sets}")
    return FolderDataset(Path(where), title_of(Path(where).resolve())), None


def _prepared(settings: Params, name: str) -> PreparedData | None:
    if name not in settings.split or not (paths.crops(name).is_dir() and paths.split(name).is_file()):
        return None
    return PreparedData.open(name)


def _keys(prepared: PreparedData, rows: NDArray[np.int64]) -> list[str]:
    return prepared.store.samples["key"].iloc[rows].tolist()


def _part(
    dataset: Dataset, samples: Sequence[Sample], part: str | None, tested: set[str] | None
) -> tuple[list[Sample], str]:
    """Return the samples of a part, and its description.

    Args:
        dataset: the data set.
        samples: all its samples.
        part: as in ``LabelledPictures.open``.
        tested: keys of the test rows made by dvc repro; None if there are none.
    """
    if part == DIVIDED and tested is None:
        raise DatasetError(
            f"{dataset.root}: dvc repro has not divided this set; choose {', '.join((*PARTS, ALL))} with --part"
        )
    if tested is not None and part in (None, DIVIDED):
        return [sample for sample in samples if sample.key in tested], "the test part of dvc repro"
    there = {sample.split for sample in samples if sample.label is not None}
    if part is None:
        part = next((each for each in ("test", "val") if each in there), ALL)
    if part == ALL:
        return list(samples), "all of it"
    if part not in there:
        found = ", ".join((*(each for each in PARTS if each in there), ALL))
        raise DatasetError(f"{dataset.root}: no labelled picture in its part {part}; there are: {found}")
    return [sample for sample in samples if sample.split == part], f"its part {part}"
