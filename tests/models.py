"""Small models for the tests, untrained, in folders as the stages leave them."""

from pathlib import Path
from typing import Any

import torch

from pipeline.config.learning import ModelParams
from pipeline.networks import saved
from pipeline.networks.grey_levels import GreyLevels
from pipeline.networks.network import PrototypeClassifier, unit_rows
from pipeline.networks.statistics import ClassStatistics
from tests.stores import FACES
from tests.tasks import ADAPT, MODEL, VIEWS

SOURCE: dict[str, Any] = {"name": "rafdb", "provenance": "stand-in", "digest": "d8b9" * 16, "train": 640, "test": 160}
SOURCE["faces"] = FACES.model_dump(mode="json")
PRETRAINED: dict[str, Any] = {
    "stage": "pretrain",
    "source": SOURCE,
    "seed": 0,
    "model": MODEL.model_dump(),
    "augment": VIEWS.model_dump(),
    "environment": {"pretrain": {}},
}
ADAPTED: dict[str, Any] = {
    **PRETRAINED,
    "stage": "adapt",
    "target": {**SOURCE, "name": "jaffe", "faces": FACES.model_copy(update={"margin": 0.25}).model_dump(mode="json")},
    "adapt": ADAPT.model_dump(),
}


def small(seed: int = 0, params: ModelParams = MODEL) -> PrototypeClassifier:
    """With prototypes far from each other, so that its probabilities are not all alike, and a temperature of 1.5."""
    torch.manual_seed(seed)
    model = PrototypeClassifier.untrained(params)
    model.statistics = ClassStatistics.of(unit_rows(torch.linspace(-1, 1, 14 * 8).reshape(14, 8)), torch.arange(14) % 7)
    model.grey_levels = GreyLevels()
    model.grey_levels.shares.copy_(torch.hann_window(256) / 128)
    with torch.no_grad():
        model.prototypes.matrix.mul_(20)
        model.calibration.temperature.fill_(1.5)
    return model.eval()


def write_source(models: Path, **changes: Any) -> PrototypeClassifier:
    """``models/pretrained`` and ``models/prototypes``; ``changes`` of what they say of themselves."""
    model, made = small(), {**PRETRAINED, **changes}
    saved.save(models / "pretrained", {"network": model.network}, made)
    digest = saved.describe(models / "pretrained")["weights_sha256"]
    parts = {name: part for name, part in model.named_children() if name != "network"}
    saved.save(models / "prototypes", parts, {**made, "stage": "prototypes", "pretrained_sha256": digest})
    return model


def write_adapted(folder: Path, seed: int = 1, **changes: Any) -> PrototypeClassifier:
    """An adapted model; ``changes`` of what it says of itself."""
    model = small(seed)
    saved.save(folder, dict(model.named_children()), {**ADAPTED, **changes})
    return model
