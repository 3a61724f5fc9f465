"""A toy problem on which a method must show that it adapts: seven patterns under another light, and a small encoder."""

import copy
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from pipeline.backbones import BACKBONES, Backbone
from pipeline.compute.team import Team
from pipeline.config.learning import AugmentParams, ModelParams, PretrainParams, PrototypeParams
from pipeline.config.methods import METHODS
from pipeline.data.batches import DeviceCrops
from pipeline.data.prepared import PreparedData, Split
from pipeline.methods import Method, SourceDomain, TargetDomain, implementation
from pipeline.networks.grey_levels import GreyLevels
from pipeline.networks.inference import project
from pipeline.networks.network import Network, PrototypeClassifier, Prototypes
from pipeline.networks.statistics import ClassStatistics
from pipeline.source_model.pretraining import Pretraining
from pipeline.source_model.prototypes import PrototypeLearning
from pipeline.training import loop
from pipeline.training.checkpoints import Checkpoint
from tests.stores import write_store

CPU = torch.device("cpu")
TEAM = Team.single_process("cpu")
COUNT = 140
LABELS = torch.arange(COUNT) % 7
ROWS = torch.arange(COUNT)
VIEWS = AugmentParams(crop=(0.9, 1.0), jitter=0.0, grayscale=0.0, blur=0.0, flip=0.0, eval_crop=1.0)


def build(_: str) -> nn.Module:
    """Two convolutions with batch norms, 512-d features."""
    return nn.Sequential(
        nn.Conv2d(3, 16, 7, stride=4, bias=False),
        nn.BatchNorm2d(16),
        nn.ReLU(inplace=True),
        nn.Conv2d(16, 32, 3, stride=2, bias=False),
        nn.BatchNorm2d(32),
        nn.ReLU(inplace=True),
        nn.AdaptiveAvgPool2d(4),
        nn.Flatten(),
    )


SMALL = Backbone(name="small", title="Small", features=512, build=build)


def prepared(folder: Path, seed: int, shifted: bool) -> PreparedData:
    """The pictures as prepared data, below the new ``folder``: 100 to adapt to, 40 to test."""
    crops = pictures(seed, shifted=shifted).batch(ROWS).permute(0, 2, 3, 1).numpy()
    rows = [{"key": f"{row}.png", "method": "mtcnn"} for row in range(COUNT)]
    return PreparedData(
        folder.name, write_store(folder, list(crops), rows), Split(np.arange(100), np.arange(100, COUNT))
    )


@cache
def pictures(seed: int, shifted: bool, device: torch.device = CPU) -> DeviceCrops:
    """140 pictures: a class is where a coloured patch lies; ``shifted``: under another light, with another noise."""
    generator = np.random.Generator(np.random.PCG64(seed))
    images = generator.normal(90, 25, (COUNT, 112, 112, 3))
    for image, label in zip(images, LABELS.tolist(), strict=True):
        angle = 2 * np.pi * label / 7
        y, x = (56 + 34 * np.array([np.sin(angle), np.cos(angle)]) + generator.normal(0, 5, 2)).astype(int)
        image[y - 14 : y + 14, x - 14 : x + 14] += generator.normal([50, 30, 10], 10)
    if shifted:
        light = np.linspace(0.35, 1.25, 112)[None, None, :, None] * np.array([1.0, 0.8, 1.2])
        images = 30 + images * light + generator.normal(0, 12, images.shape)
    return DeviceCrops(images.clip(0, 255).astype(np.uint8), device)


@cache
def source_model() -> PrototypeClassifier:
    """Trained on the unshifted pictures by stage 1's own code."""
    loop.prepare(0, CPU)
    crops = pictures(1, shifted=False)
    BACKBONES.add(SMALL)
    network = Network(ModelParams(backbone="small", weights="none", projection_hidden=64, projection_dim=32))
    BACKBONES.remove(SMALL.name)
    stage_1 = PretrainParams(
        objective="cross_entropy",
        epochs=12,
        warmup_epochs=1,
        batch_size=35,
        lr=0.1,
        momentum=0.9,
        weight_decay=1e-4,
        tau=0.1,
    )
    prototypes = PrototypeParams(epochs=60, batch_size=70, lr=0.5, momentum=0.9, class_weights="none")
    with TemporaryDirectory() as folder:
        loop.fit(
            Pretraining(network, crops, ROWS, LABELS, stage_1, VIEWS, 0, TEAM),
            Checkpoint(Path(folder, "1.pt"), {}),
            lambda *_: None,
            TEAM,
        )
        projections = project(network, crops, ROWS, 1.0)
        learning = PrototypeLearning(Prototypes(32), projections, LABELS, prototypes, 0)
        loop.fit(learning, Checkpoint(Path(folder, "2.pt"), {}), lambda *_: None, TEAM)
    model = PrototypeClassifier(network, learning.prototypes, statistics=ClassStatistics.of(projections, LABELS))
    model.grey_levels = GreyLevels.of([crops.evaluation_view(crops.batch(ROWS), 1.0)])
    return model


def method(
    name: str,
    team: Team = TEAM,
    source: SourceDomain | None = None,
    target: TargetDomain | None = None,
    known: tuple[int, ...] = (),
    model: PrototypeClassifier | None = None,
    **changes: Any,
) -> Method:
    """The method of this name on the toy problem, from the same source model.

    source, target: other ones. known: the classes that may be predicted. model: another source model, which is
    changed. changes: of its parameters.
    """
    model = model or copy.deepcopy(source_model())
    if known:
        model.decision.restrict(known)
    loop.prepare(0, team.device)
    shared = {"method": name, "epochs": 3, "steps_per_epoch": 10, "batch_size": 28}
    params = METHODS[name].model_validate({**shared, **changes})
    source = source or SourceDomain(pictures(1, shifted=False, device=team.device), ROWS[:105], LABELS, ROWS[105:])
    target = target or TargetDomain(pictures(2, shifted=True, device=team.device), ROWS, ROWS)
    return implementation(params)(model, source, target, params, VIEWS, 0, team)


def accuracy(task: Method) -> float:
    """Of what the method predicts for the target, in per cent."""
    right: Tensor = task.probabilities(ROWS).argmax(dim=1).cpu() == LABELS
    return 100.0 * right.double().mean().item()
