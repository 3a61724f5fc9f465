"""Features f(x) of a set's pictures, computed once. An adaptation that trains only g reads them instead of crops.

Their files are described in ``pipeline.networks.feature_files``.
"""

import copy
import hashlib
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file
from torch import Tensor, nn

from pipeline.config.learning import UNCHANGED, AugmentParams, EncoderRules
from pipeline.data.batches import DeviceCrops, DeviceFeatures, generator_for, prefetched
from pipeline.data.prepared import PreparedData
from pipeline.errors import DamagedFileError
from pipeline.files.io import damage_reported, read_array
from pipeline.networks import camera_style, encoder_statistics, saved
from pipeline.networks.camera_style import CameraStyle, StyledCrops
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
from pipeline.networks.restoration import Restoration, regression
from pipeline.networks.source_pictures import SourcePictures, digest_rows, sample
from pipeline.progress import progress_bar
from pipeline.shards import WHOLE, Shard

SEED = 0
"""Seed of the views. It does not depend on the run's seed, so all adaptations of an encoder read the same features."""


@dataclass(frozen=True, eq=False)
class FeatureRequest:
    """A request for features: encoder, pictures and views.

    Attributes:
        encoder: f: float n×3×112×112 in, n×D out.
        name: name of the set.
        images: the set's crops, uint8 N×112×112×3.
        crops: digest of the crops.
        rows: the pictures whose evaluation view is needed, int64.
        train_rows: the pictures whose training views are needed, int64.
        views: number of training views per picture.
        augment: parameters of the views.
        rules: when the encoder takes over grey levels or statistics of these pictures.
        model: the source model of this encoder, whose predictions decide; needed unless ``rules`` change nothing.
        source: pictures of the source, to which a restoration is fitted; None: there are none.
    """

    encoder: Encoder
    name: str
    images: NDArray[np.uint8]
    crops: str
    rows: Tensor
    train_rows: Tensor
    views: int
    augment: AugmentParams
    rules: EncoderRules = UNCHANGED
    model: PrototypeClassifier | None = None
    source: SourcePictures | None = None

    @classmethod
    def of_source(
        cls, encoder: Encoder, data: PreparedData, pictures: int | None, views: int, augment: AugmentParams
    ) -> Self:
        """Request what an adaptation reads of the source: ``source_rows`` for training, test rows for validation."""
        train = source_rows(data, pictures)
        return cls(encoder, *_named(data), torch.cat([train, data.test_rows]).unique(), train, views, augment)

    @classmethod
    def of_target(
        cls,
        encoder: Encoder,
        data: PreparedData,
        views: int,
        augment: AugmentParams,
        rules: EncoderRules = UNCHANGED,
        model: PrototypeClassifier | None = None,
        source: PreparedData | None = None,
    ) -> Self:
        """Request what an adaptation reads of the target: all pictures, and training views of its training rows."""
        every, pictures = torch.arange(len(data.store.images)), None if source is None else SourcePictures.of(source)
        return cls(encoder, *_named(data), every, data.train_rows, views, augment, rules, model, pictures)

    @cached_property
    def description(self) -> dict[str, Any]:
        """Everything that determines the features, as JSON; computed once, because it digests the whole encoder."""
        described = {
            "encoder": digest(self.encoder),
            "crops": self.crops,
            "rows": digest_rows(self.rows),
            "train_rows": digest_rows(self.train_rows),
            "views": self.views,
            "seed": SEED,
            "augment": self.augment.model_dump(mode="json"),
        }
        if self.model is not None and not self.rules.nothing:
            described |= {
                "statistics": self.rules.statistics,
                "head": digest(self.model.network.head),
                "prototypes": digest(self.model.prototypes),
                "adjustment": self.model.decision.adjustment.tolist(),
                "shares": self.model.statistics.shares.tolist() if self.model.statistics else None,
            }
            if self.rules.matching != "never" and self.model.grey_levels is not None:
                described |= {"matching": self.rules.matching, "grey_levels": digest(self.model.grey_levels)}
            if self.rules.restoration != "never" and self.source is not None:
                described |= {"restoration": self.rules.restoration, "source": self.source.described()}
            if "entropy" in (self.rules.statistics, self.rules.matching, self.rules.restoration):
                described["margins"] = [encoder_statistics.MARGIN, encoder_statistics.TONE_MARGIN]
        return described

    @cached_property
    def _written(self) -> set[Path]:
        """Folders whose features this request has written, or has found already written with the same description."""
        return set()

    def read(self, folder: Path, device: torch.device, verify: bool = True) -> DeviceFeatures:
        """Read the features in ``folder``.

        Args:
            folder: the folder of the features.
            device: the device that will use them.
            verify: whether to check their bytes, unless this request wrote them itself. One process of a team checks
                them, and if they are damaged, it ends all processes.

        Raises:
            DamagedFileError: they are missing, damaged, or were made from other inputs.
        """
        self._require_made(folder, verify)
        array: NDArray[np.float32] = read_array(folder / FEATURES)
        return DeviceFeatures(array, device)

    def read_by_source(self, folder: Path, device: torch.device, verify: bool = True) -> DeviceFeatures:
        """Read the features by the source's encoder, which direct transfer uses.

        Arguments and errors are those of ``read``.
        """
        self._require_made(folder, verify)
        array: NDArray[np.float32] = read_array(folder / (BY_SOURCE if (folder / BY_SOURCE).exists() else FEATURES))
        return DeviceFeatures(array, device)

    def read_encoder(self, folder: Path) -> Encoder:
        """Return the encoder that made the features in ``folder``: a copy of this request's encoder, on the CPU.

        Raises:
            DamagedFileError: as in ``read``.
        """
        self._require_made(folder, verify=False)
        encoder = copy.deepcopy(self.encoder).cpu()
        if (folder / STATISTICS).exists():
            with damage_reported(folder / STATISTICS):
                encoder_statistics.take_over(encoder, load_file(folder / STATISTICS))
        return encoder

    def _require_made(self, folder: Path, verify: bool) -> None:
        """Raise an error unless ``folder`` contains the features of this request."""
        if made_from(folder, verify and folder not in self._written) != self.description:
            raise DamagedFileError(
                f"{folder}: the features are damaged, or of another encoder, split or views; remove the folder and run "
                "dvc repro"
            )

    def write(self, folder: Path, device: torch.device) -> None:
        """Compute the features and write them to ``folder``, unless it contains them already.

        Raises:
            StorageError: the disk is full or fails.
            ParamsError: see ``encoder_statistics.choose``.
        """
        with features_folder(folder, self.description, [FEATURES]) as temporary:
            if temporary is not None:
                encoder, choice = self.encoder.to(device), None
                if not self.rules.nothing and len(self.train_rows):
                    choice, encoder = self._choose(device)
                    if not choice.unchanged:
                        self._write_taken_over(temporary, encoder, device)
                features = open_array(temporary / FEATURES, len(self.images), 1 + self.views, self.encoder.dim)
                for rows, view, found in self.compute(encoder, device):
                    features[rows.numpy(), view] = found
                features.flush()
                write_note(temporary, self.description, choice)
        self._written.add(folder)

    def _choose(self, device: torch.device) -> tuple[StatisticsChoice, Encoder]:
        """Choose what the encoder takes over, using a random sample of ``train_rows``."""
        assert self.model is not None
        model, rules = self.model.to(device).eval(), self.rules
        drawn = sample(self.train_rows, f"statistics {self.name}")
        inputs, title = DeviceCrops(self.images, device), f"statistics {self.name}"

        def views(places: Tensor) -> Iterator[Tensor]:
            return self._evaluation_views(inputs, drawn[places], title)

        taken, restorable = encoder_statistics.choose(model, rules, len(drawn), views)
        if rules.restoration == "never" or self.source is None:
            return taken
        if rules.restoration == "always":
            restorable = taken  # only by entropy do statistics and restoration come together
        restoration, style = self._restoration(restorable[1], drawn, device)
        choice, encoder = encoder_statistics.choose_restored(
            model, rules.restoration, taken, restorable, restoration, lambda: views(torch.arange(len(drawn)))
        )
        side = style.enlargement.pixels if style.enlargement else None
        return replace(choice, blur=style.pixels, noise=style.grey_levels, side=side), encoder

    @torch.no_grad()
    def _restoration(self, encoder: Encoder, rows: Tensor, device: torch.device) -> tuple[Restoration, CameraStyle]:
        """Fit the style of this set's camera, and the map from features of ``encoder`` to those of the source."""
        assert self.source is not None
        images = self.source.sample()
        style, every = camera_style.fit(images, self.images[rows.sort().values.numpy()]), torch.arange(len(images))

        def embed(by: Encoder, inputs: DeviceCrops) -> Tensor:
            with evaluating(by.to(device)):
                views = self._evaluation_views(inputs, every, f"restoration {self.name}")
                return torch.cat([by(images) for images in views])

        clear = embed(self.encoder, DeviceCrops(images, device))
        return regression(embed(encoder, StyledCrops(images, device, style)), clear), style

    def _evaluation_views(self, inputs: DeviceCrops, rows: Tensor, title: str) -> Iterator[Tensor]:
        """Yield evaluation views in batches of nearly equal size: each has the same weight in the statistics."""
        batches = rows.tensor_split(math.ceil(len(rows) / BATCH))
        stored = prefetched(map(inputs.batch, batches))
        for batch in progress_bar(stored, total=len(batches), desc=title, unit="batch", leave=False):
            yield inputs.evaluation_view(batch, self.augment.eval_crop)

    def _write_taken_over(self, folder: Path, encoder: Encoder, device: torch.device) -> None:
        """Write what the encoder has taken over, and features of the evaluation views by the source's encoder."""
        saved.write_tensors(folder / STATISTICS, encoder_statistics.taken_over(encoder))
        by_source = open_array(folder / BY_SOURCE, len(self.images), 1, encoder.dim)
        for rows, view, found in replace(self, views=0).compute(self.encoder, device):
            by_source[rows.numpy(), view] = found
        by_source.flush()

    @torch.no_grad()
    def compute(
        self, encoder: Encoder, device: torch.device, shard: Shard = WHOLE
    ) -> Iterator[tuple[Tensor, int, NDArray[np.float32]]]:
        """Compute the features of one shard.

        Args:
            encoder: this request's encoder, or its changed copy.
            device: the device to compute on.
            shard: the part to compute. Sharding does not change the batches.

        Yields:
            Per batch: row numbers, number of the view, and features (n×D).
        """
        inputs, encoder = DeviceCrops(self.images, device), encoder.to(device)
        batches = len(self._batches(self.rows, shard)) + self.views * len(self._batches(self.train_rows, shard))
        title = f"features {self.name}"
        with evaluating(encoder):
            for rows, view, images in progress_bar(self._views(inputs, shard), total=batches, desc=title, unit="batch"):
                yield rows, view, encoder(images).float().cpu().numpy()

    def count(self, shard: Shard) -> int:
        """Return the number of features in a shard."""
        all_rows, train_rows = self._batches(self.rows, shard), self._batches(self.train_rows, shard)
        return sum(map(len, all_rows)) + self.views * sum(map(len, train_rows))

    def _batches(self, rows: Tensor, shard: Shard) -> tuple[Tensor, ...]:
        """Return the batches of ``rows`` that belong to a shard."""
        batches: tuple[Tensor, ...] = rows.split(BATCH)
        return batches[shard.part(len(batches))]

    def _views(self, inputs: DeviceCrops, shard: Shard) -> Iterator[tuple[Tensor, int, Tensor]]:
        """Yield batches: row numbers, number of the view (0: evaluation), and the views, float n×3×112×112."""
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
    """Return a set's name, its crops and their digest."""
    return data.name, data.store.images, data.store.description["digest"]


def source_rows(data: PreparedData, pictures: int | None) -> Tensor:
    """Return the source's training rows that an adaptation of the head uses: all, or a random sample.

    Args:
        data: the source.
        pictures: size of the sample; None: all rows.

    Returns:
        int64, in ascending order; the same in every adaptation.
    """
    rows = data.train_rows
    if pictures is None or pictures >= len(rows):
        return rows
    return sample(rows, f"source pictures {data.name}", pictures).sort().values


def digest(module: nn.Module) -> str:
    """Return the SHA-256 of a module's state: names, shapes, dtypes and bytes of its tensors."""
    found = hashlib.sha256()
    for name, value in module.state_dict().items():
        found.update(f"{name} {tuple(value.shape)} {value.dtype}".encode())
        found.update(value.detach().cpu().contiguous().numpy().tobytes())
    return found.hexdigest()


class GivenFeatures(nn.Module):
    """Replaces f when the inputs are features already: N×D float in, the same out.

    Args:
        dim: D.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.dim = dim

    def forward(self, features: Tensor) -> Tensor:
        return features


def swap_encoder(module: nn.Module, encoder: Encoder | GivenFeatures) -> None:
    """Replace the encoder of every ``Network`` in a module."""
    for part in module.modules():
        if isinstance(part, Network):
            part.add_module("encoder", encoder)
