"""Small training tasks on made pictures, for the tests of training."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from pipeline.compute.team import Team
from pipeline.config.learning import AugmentParams, ComputeParams, ModelParams, PretrainParams, PrototypeParams
from pipeline.config.methods import METHODS
from pipeline.config.methods.pocan import PocanParams
from pipeline.data.batches import DeviceCrops
from pipeline.methods import Method, SourceDomain, TargetDomain, implementation
from pipeline.methods.pocan import Pocan
from pipeline.networks.network import Network, PrototypeClassifier, Prototypes, unit_rows
from pipeline.networks.statistics import ClassStatistics
from pipeline.source_model.pretraining import Pretraining
from pipeline.training import loop

MODEL = ModelParams(backbone="resnet10", weights="none", projection_hidden=16, projection_dim=8)
VIEWS = AugmentParams(crop=(0.8, 0.95), jitter=0.8, grayscale=0.2, blur=0.5, flip=0.5, eval_crop=0.85)
PRETRAIN = PretrainParams(epochs=3, warmup_epochs=1, batch_size=8, lr=0.05, momentum=0.9, weight_decay=1e-4, tau=0.1)
PROTOTYPES = PrototypeParams(epochs=5, batch_size=8, lr=0.5, momentum=0.9, class_weights="printed")
ADAPT = PocanParams(
    method="pocan",
    epochs=2,
    steps_per_epoch=2,
    batch_size=6,
    lr=0.01,
    prototype_lr=0.1,
    prototype_lr_drop_epoch=1,
    momentum=0.9,
    weight_decay=1e-5,
    tau=0.7,
    tau_source=0.1,
    beta=2.0,
    class_weights="printed",
    lambda_on_prototypes=False,
    use_l_in=True,
    use_l_cross=True,
    use_l_ad=True,
    prototype_projections="evaluation",
    domain_passes="separate",
)
COMPUTE = ComputeParams(precision="fp32", compile=False, devices=1)
CPU = torch.device("cpu")
ROWS = torch.arange(24)
LABELS = ROWS % 7


def pictures(seed: int, device: torch.device = CPU) -> DeviceCrops:
    """24 pictures of noise."""
    generator = np.random.Generator(np.random.PCG64(seed))
    return DeviceCrops(generator.integers(0, 256, (24, 112, 112, 3), dtype=np.uint8), device)


Build = Callable[[ModelParams], Network]


def pretraining(team: Team, seed: int = 0, build: Build = Network, **changes: Any) -> Pretraining:
    """Stage 1 on all pictures; ``changes`` of its parameters."""
    loop.prepare(seed, team.device)
    params = PRETRAIN.model_copy(update=changes)
    return Pretraining(build(MODEL), pictures(1, team.device), ROWS, LABELS, params, VIEWS, seed, team)


def adaptation(name: str, team: Team, build: Build = Network, **changes: Any) -> Method:
    """Stage 2 by the method of this name, otherwise as ``pocan``."""
    loop.prepare(0, team.device)
    shared = {"method": name, "epochs": 2, "steps_per_epoch": 2, "batch_size": 6}
    params = METHODS[name].model_validate({**shared, **changes})
    source = SourceDomain(pictures(1, team.device), ROWS, LABELS, ROWS[16:])
    target = TargetDomain(pictures(2, team.device), ROWS[:20], ROWS[16:])
    model = PrototypeClassifier(build(MODEL), Prototypes(8))
    model.statistics = ClassStatistics.of(unit_rows(torch.linspace(-1, 1, 192).sin().reshape(24, 8)), LABELS)
    return implementation(params)(model, source, target, params, VIEWS, 0, team)


def pocan(team: Team, build: Build = Network, **changes: Any) -> Pocan:
    """Stage 2 from an untrained model: 20 pictures to adapt to, of which 4 are among the 8 to predict."""
    loop.prepare(0, team.device)
    params = ADAPT.model_copy(update=changes)
    source, target = (
        SourceDomain(pictures(1, team.device), ROWS, LABELS, ROWS[16:]),
        TargetDomain(pictures(2, team.device), ROWS[:20], ROWS[16:]),
    )
    return Pocan(PrototypeClassifier(build(MODEL), Prototypes(8)), source, target, params, VIEWS, 0, team)
