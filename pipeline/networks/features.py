"""Features f(x) of a set's pictures, computed once: what an adaptation that trains g alone reads instead of crops.

Their files: ``pipeline.networks.feature_files``.
"""

import copy
import hashlib
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file
from torch import Tensor, nn

from pipeline.config.learning import AugmentParams
from pipeline.data.batches import DeviceCrops, DeviceFeatures, generator_for, prefetched
from pipeline.data.prepared import PreparedData
from pipeline.errors import DamagedFileError
from pipeline.files.io import damage_reported, read_array
from pipeline.networks import encoder_statistics, saved
from pipeline.networks.encoder_statistics import StatisticsChoice
from pipeline.networks.feature_files import (
    BY_SOURCE,
    FEATURES,
    STATISTICS,
    features_folder,
    made_from,
    open_array,
    write_note,
)
from pipeline.networks.inference import BATCH, evaluating
from pipeline.networks.network import Encoder, Network, PrototypeClassifier
from pipeline.progress import progress_bar
from pipeline.shards import WHOLE, Shard

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
        statistics: whose statistics the encoder's batch norms have: as ``adapt.encoder_statistics`` says.
        model: the source model of this encoder, where ``statistics`` is not source: its predictions decide.
    """

    encoder: Encoder
    name: str
    images: NDArray[np.uint8]
    crops: str
    rows: Tensor
    train_rows: Tensor
    views: int
    augment: AugmentParams
    statistics: Literal["source", "target", "entropy"] = "source"
    model: PrototypeClassifier | None = None

    @classmethod
    def of_source(
        cls, encoder: Encoder, data: PreparedData, pictures: int | None, views: int, augment: AugmentParams
    ) -> Self:
        """What an adaptation reads of the source: ``source_rows`` to train on, and the test rows to judge by."""
        train = source_rows(data, pictures)
        return cls(encoder, *_named(data), torch.cat([train, data.test_rows]).unique(), train, views, augment)

    @classmethod
    def of_target(
        cls,
        encoder: Encoder,
        data: PreparedData,
        views: int,
        augment: AugmentParams,
        statistics: Literal["source", "target", "entropy"] = "source",
        model: PrototypeClassifier | None = None,
    ) -> Self:
        """What an adaptation reads of the target: all pictures, and views of those that it adapts to."""
        every = torch.arange(len(data.store.images))
        return cls(encoder, *_named(data), every, data.train_rows, views, augment, statistics, model)

    @cached_property
    def description(self) -> dict[str, Any]:
        """What decides the features, as JSON; made once, as it has the digest of the whole encoder."""
        described = {
            "encoder": digest(self.encoder),
            "crops": self.crops,
            "rows": _digest_rows(self.rows),
            "train_rows": _digest_rows(self.train_rows),
            "views": self.views,
            "seed": SEED,
            "augment": self.augment.model_dump(mode="json"),
        }
        if self.model is not None and self.statistics != "source":
            described |= {
                "statistics": self.statistics,
                "head": digest(self.model.network.head),
                "prototypes": digest(self.model.prototypes),
                "adjustment": self.model.decision.adjustment.tolist(),
                "shares": self.model.statistics.shares.tolist() if self.model.statistics else None,
            }
        return described

    @cached_property
    def _written(self) -> set[Path]:
        """Folders whose features this request has written, or has found to be those that it would write."""
        return set()

    def read(self, folder: Path, device: torch.device, verify: bool = True) -> DeviceFeatures:
        """The features in ``folder``, for ``device``.

        Args:
            folder: of the features.
            device: where they are needed.
            verify: whether their bytes are checked, unless this request has written them itself: one process of a team
                does so, and ends the work of all where they are damaged.

        Raises:
            DamagedFileError: there are none, they were made from something else, or they are damaged.
        """
        self._require_made(folder, verify)
        array: NDArray[np.float32] = read_array(folder / FEATURES)
        return DeviceFeatures(array, device)

    def read_by_source(self, folder: Path, device: torch.device, verify: bool = True) -> DeviceFeatures:
        """What direct transfer predicts from: features by the encoder with the source's statistics.

        Args and raised errors are those of ``read``.
        """
        self._require_made(folder, verify)
        array: NDArray[np.float32] = read_array(folder / (BY_SOURCE if (folder / BY_SOURCE).exists() else FEATURES))
        return DeviceFeatures(array, device)

    def read_encoder(self, folder: Path) -> Encoder:
        """The encoder that made the features in ``folder``, on the CPU: a copy of this request's.

        Raises:
            DamagedFileError: as of ``read``.
        """
        self._require_made(folder, verify=False)
        encoder = copy.deepcopy(self.encoder).cpu()
        if (folder / STATISTICS).exists():
            with damage_reported(folder / STATISTICS):
                encoder.load_state_dict(load_file(folder / STATISTICS), strict=False)
        return encoder

    def _require_made(self, folder: Path, verify: bool) -> None:
        if made_from(folder, verify and folder not in self._written) != self.description:
            raise DamagedFileError(
                f"{folder}: features of another encoder, division or views, or damaged ones; remove the folder and run "
                "dvc repro"
            )

    def write(self, folder: Path, device: torch.device) -> None:
        """Compute the features into ``folder``, unless they are there.

        Raises:
            StorageError: the disk is full or fails.
            ParamsError: see ``encoder_statistics.choose``.
        """
        with features_folder(folder, self.description, [FEATURES]) as temporary:
            if temporary is not None:
                encoder, choice = self.encoder.to(device), None
                if self.statistics != "source" and len(self.train_rows):
                    choice, encoder = self._choose(device)
                    if choice.chosen == "target":
                        self._write_statistics(temporary, encoder, device)
                features = open_array(temporary / FEATURES, len(self.images), 1 + self.views, self.encoder.dim)
                for rows, view, found in self.compute(encoder, device):
                    features[rows.numpy(), view] = found
                features.flush()
                write_note(temporary, self.description, choice)
        self._written.add(folder)

    def _choose(self, device: torch.device) -> tuple[StatisticsChoice, Encoder]:
        """Decide which statistics the encoder has, from pictures drawn from ``train_rows``."""
        assert self.model is not None
        assert self.statistics != "source"
        generator = generator_for(SEED, f"statistics {self.name}", 0)
        sample = self.train_rows[torch.randperm(len(self.train_rows), generator=generator)]
        sample, inputs = sample[: encoder_statistics.PICTURES], DeviceCrops(self.images, device)

        def views(places: Tensor) -> Iterator[Tensor]:
            # Batches of nearly one size: each counts as much as any other in the statistics.
            batches = sample[places].tensor_split(math.ceil(len(places) / BATCH))
            stored = prefetched(map(inputs.batch, batches))
            title = f"statistics {self.name}"
            for batch in progress_bar(stored, total=len(batches), desc=title, unit="batch", leave=False):
                yield inputs.evaluation_view(batch, self.augment.eval_crop)

        return encoder_statistics.choose(self.model.to(device).eval(), self.statistics, len(sample), views)

    def _write_statistics(self, folder: Path, encoder: Encoder, device: torch.device) -> None:
        """Write the encoder's statistics, and what the encoder with the source's makes of the evaluation views."""
        saved.write_tensors(folder / STATISTICS, encoder_statistics.statistics(encoder))
        by_source = open_array(folder / BY_SOURCE, len(self.images), 1, encoder.dim)
        for rows, view, found in replace(self, views=0).compute(self.encoder, device):
            by_source[rows.numpy(), view] = found
        by_source.flush()

    @torch.no_grad()
    def compute(
        self, encoder: Encoder, device: torch.device, shard: Shard = WHOLE
    ) -> Iterator[tuple[Tensor, int, NDArray[np.float32]]]:
        """Compute a part of the features.

        Args:
            encoder: this request's, with its own statistics or with the target's.
            device: where the encoder computes.
            shard: which part; its batches are those that all the features have.

        Yields:
            Batches: rows of pictures, the number of their view, and its features, n×D.
        """
        inputs, encoder = DeviceCrops(self.images, device), encoder.to(device)
        batches = len(self._batches(self.rows, shard)) + self.views * len(self._batches(self.train_rows, shard))
        title = f"features {self.name}"
        with evaluating(encoder):
            for rows, view, images in progress_bar(self._views(inputs, shard), total=batches, desc=title, unit="batch"):
                yield rows, view, encoder(images).float().cpu().numpy()

    def count(self, shard: Shard) -> int:
        """How many features a part has."""
        all_rows, train_rows = self._batches(self.rows, shard), self._batches(self.train_rows, shard)
        return sum(map(len, all_rows)) + self.views * sum(map(len, train_rows))

    def _batches(self, rows: Tensor, shard: Shard) -> tuple[Tensor, ...]:
        batches: tuple[Tensor, ...] = rows.split(BATCH)
        return batches[shard.part(len(batches))]

    def _views(self, inputs: DeviceCrops, shard: Shard) -> Iterator[tuple[Tensor, int, Tensor]]:
        """Batches of the pictures' rows, the number of the view, and the view, float n×3×112×112."""
        batches = self._batches(self.rows, shard)
        for rows, stored in zip(batches, prefetched(map(inputs.batch, batches)), strict=True):
            yield rows, 0, inputs.evaluation_view(stored, self.augment.eval_crop)
        batches = self._batches(self.train_rows, shard)
        for view in range(1, 1 + self.views):
            generator = generator_for(SEED, f"features {self.name}", view)
            draws = self._batches(inputs.draw(1, len(self.train_rows), generator)[0], shard)
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
