"""Features f(x) of a set's pictures, computed once: what an adaptation that trains g alone reads instead of crops.

A folder holds

``features.npy``    float32 N×(1 + views)×D: of every picture the evaluation view, then training views. Zero where a
                    picture has none: those that are not trained on have no training views.
``features.json``   what they were made from: digests of encoder, crops and rows; number, seed and parameters of the
                    views; and the SHA-256 of ``features.npy``. Where all that is the same, they are read; else they are
                    made anew.

They are written batch by batch through a memory map, so that memory does not grow with the set.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from pipeline.config.learning import AugmentParams
from pipeline.data.batches import DeviceCrops, DeviceFeatures, generator_for, prefetched
from pipeline.data.prepared import PreparedData
from pipeline.errors import DamagedFileError
from pipeline.files.atomic import atomic_folder, remove_folder, storage_errors
from pipeline.files.io import damage_reported, read_array, read_json, sha256, write_json
from pipeline.networks.inference import evaluating
from pipeline.networks.network import Encoder, Network
from pipeline.progress import progress_bar

BATCH = 64
"""Pictures that pass f at a time: more take memory (256 of 112×112 a gigabyte) and are no faster on a CPU."""
SEED = 0
"""Of the views: one of their own, so that every adaptation from the same encoder reads the same features."""


@dataclass(frozen=True, eq=False)
class FeatureRequest:
    """Whose features are wanted, and of which views.

    Attributes:
        encoder: f: float n×3×112×112 in, n×D out.
        name: of the set.
        images: its crops, uint8 N×112×112×3.
        crops: their digest.
        rows: the pictures whose evaluation view is wanted, int64.
        train_rows: those that training views are made of, int64.
        views: how many training views of each.
        augment: parameters of the views.
    """

    encoder: Encoder
    name: str
    images: NDArray[np.uint8]
    crops: str
    rows: Tensor
    train_rows: Tensor
    views: int
    augment: AugmentParams

    @classmethod
    def of_source(
        cls, encoder: Encoder, data: PreparedData, pictures: int | None, views: int, augment: AugmentParams
    ) -> Self:
        """What an adaptation reads of the source: ``source_rows`` to train on, and the test rows to judge by."""
        train = source_rows(data, pictures)
        return cls(encoder, *_named(data), torch.cat([train, data.test_rows]).unique(), train, views, augment)

    @classmethod
    def of_target(cls, encoder: Encoder, data: PreparedData, views: int, augment: AugmentParams) -> Self:
        """What an adaptation reads of the target: all pictures, and views of those that it adapts to."""
        return cls(encoder, *_named(data), torch.arange(len(data.store.images)), data.train_rows, views, augment)

    def description(self) -> dict[str, Any]:
        """What decides the features, as JSON."""
        return {
            "encoder": digest(self.encoder),
            "crops": self.crops,
            "rows": _digest_rows(self.rows),
            "train_rows": _digest_rows(self.train_rows),
            "views": self.views,
            "seed": SEED,
            "augment": self.augment.model_dump(mode="json"),
        }

    def read(self, folder: Path, device: torch.device) -> DeviceFeatures:
        """The features in ``folder``, for ``device``.

        Raises:
            DamagedFileError: there are none, they were made from something else, or they are damaged.
        """
        if read_json(folder / "features.json") != self._with_digest(folder):
            raise DamagedFileError(
                f"{folder}: features of another encoder, division or views, or damaged ones; remove the folder and run "
                "dvc repro"
            )
        array: NDArray[np.float32] = read_array(folder / "features.npy")
        return DeviceFeatures(array, device)

    def write(self, folder: Path, device: torch.device) -> None:
        """Compute the features into ``folder``, unless they are there.

        Raises:
            StorageError: the disk is full or fails.
        """
        if folder.exists():
            try:
                if read_json(folder / "features.json") == self._with_digest(folder):
                    return
            except DamagedFileError:
                pass  # made anew below
            with storage_errors(folder):
                remove_folder(folder)
        with atomic_folder(folder) as temporary:
            self._compute(temporary / "features.npy", device)
            write_json(temporary / "features.json", self._with_digest(temporary))

    def _with_digest(self, folder: Path) -> dict[str, Any]:
        """What decides the features, and the digest of those in ``folder``."""
        path = folder / "features.npy"
        with damage_reported(path):
            return self.description() | {"sha256": sha256(path)}

    @torch.no_grad()
    def _compute(self, path: Path, device: torch.device) -> None:
        inputs, encoder = DeviceCrops(self.images, device), self.encoder.to(device)
        shape = (inputs.count, 1 + self.views, encoder.dim)
        features = np.lib.format.open_memmap(path, mode="w+", dtype=np.float32, shape=shape)
        batches = len(self.rows.split(BATCH)) + self.views * len(self.train_rows.split(BATCH))
        title = f"features {self.name}"
        with evaluating(encoder):
            for rows, view, images in progress_bar(self._views(inputs), total=batches, desc=title, unit="batch"):
                features[rows.numpy(), view] = encoder(images).float().cpu().numpy()
        features.flush()

    def _views(self, inputs: DeviceCrops) -> Iterator[tuple[Tensor, int, Tensor]]:
        """Batches of the pictures' rows, the number of the view, and the view, float n×3×112×112."""
        batches = self.rows.split(BATCH)
        for rows, stored in zip(batches, prefetched(map(inputs.batch, batches)), strict=True):
            yield rows, 0, inputs.evaluation_view(stored, self.augment.eval_crop)
        batches = self.train_rows.split(BATCH)
        for view in range(1, 1 + self.views):
            generator = generator_for(SEED, f"features {self.name}", view)
            draws = inputs.draw(1, len(self.train_rows), generator)[0].split(BATCH)
            for rows, drawn, stored in zip(batches, draws, prefetched(map(inputs.batch, batches)), strict=True):
                yield rows, view, inputs.training_views(stored, drawn, self.augment)


def _named(data: PreparedData) -> tuple[str, NDArray[np.uint8], str]:
    """A set's name, its crops and their digest."""
    return data.name, data.store.images, data.store.description["digest"]


def source_rows(data: PreparedData, pictures: int | None) -> Tensor:
    """The source's training rows that an adaptation of the head draws from: all, or so many of them.

    Returns:
        int64, in ascending order; the same in every adaptation.
    """
    rows = data.train_rows
    if pictures is None or pictures >= len(rows):
        return rows
    drawn = torch.randperm(len(rows), generator=generator_for(SEED, f"source pictures {data.name}", 0))[:pictures]
    return rows[drawn].sort().values


def _digest_rows(rows: Tensor) -> str:
    return hashlib.sha256(rows.numpy().tobytes()).hexdigest()


def digest(module: nn.Module) -> str:
    """The SHA-256 of a module's state: of the names, shapes and bytes of its tensors."""
    found = hashlib.sha256()
    for name, value in module.state_dict().items():
        found.update(f"{name} {tuple(value.shape)} {value.dtype}".encode())
        found.update(value.detach().cpu().contiguous().numpy().tobytes())
    return found.hexdigest()


class GivenFeatures(nn.Module):
    """Stands for f where features are given: N×D float in, the same out.

    Args:
        dim: D.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.dim = dim

    def forward(self, features: Tensor) -> Tensor:
        return features


def swap_encoder(module: nn.Module, encoder: Encoder | GivenFeatures) -> None:
    """Let every ``Network`` in a module have this encoder."""
    for part in module.modules():
        if isinstance(part, Network):
            part.add_module("encoder", encoder)
