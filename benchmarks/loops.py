"""The training loops that benchmarks/training.py compares. Each is an iterator that makes one step per item.

An item is the number of images (views) in the step.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms import v2

from pipeline.compute.team import Team
from pipeline.config.learning import ComputeParams
from pipeline.config.methods.pocan import PocanParams
from pipeline.config.schema import Params
from pipeline.data.augment import BLUR_SIGMA, BRIGHTNESS, CONTRAST, HUE, SATURATION
from pipeline.data.batches import DeviceCrops, prefetched
from pipeline.losses.classification import weighted_cross_entropy
from pipeline.losses.contrastive import nt_xent, supervised_contrastive
from pipeline.losses.domain import domain_confusion, domain_discrimination
from pipeline.methods import SourceDomain, TargetDomain
from pipeline.methods.pocan import Pocan
from pipeline.networks.network import Network, PrototypeClassifier, Prototypes
from pipeline.source_model.pretraining import Pretraining
from pipeline.training import loop

Crops = NDArray[np.uint8]

PICTURES = 12_271
"""Number of training rows, as in RAF-DB: shuffling fewer would be unrealistically fast."""


@dataclass(frozen=True)
class Setting:
    """The configuration of a measurement. crops: path of an array, uint8 N×112×112×3."""

    stage: str
    backbone: str
    batch_size: int
    device: str
    precision: str
    compiled: bool
    crops: str


def rows_of(images: Crops) -> Tensor:
    """Return ``PICTURES`` rows (int64), which repeat those of ``images``."""
    return torch.arange(PICTURES) % len(images)


def labels_of(images: Crops) -> Tensor:
    """Return the seven classes in turn; speed does not depend on labels."""
    return torch.arange(len(images)) % 7


# ---------------------------------------------------------------------------------------------- this project


def project_stage_1(setting: Setting, images: Crops, params: Params) -> Iterator[int]:
    """Create the task of the pretrain stage."""
    team = _team(setting)
    loop.prepare(0, team.device)
    rows = rows_of(images)
    chosen = params.pretrain.model_copy(update={"batch_size": setting.batch_size})
    network, crops = _network(setting, params), DeviceCrops(images, team.device)
    return _run(Pretraining(network, crops, rows, labels_of(images), chosen, params.augment, 0, team))


def project_stage_2(setting: Setting, images: Crops, params: Params) -> Iterator[int]:
    """Create the task of the adapt stage; the prediction before an epoch is not timed."""
    team = _team(setting)
    loop.prepare(0, team.device)
    rows, crops = rows_of(images), DeviceCrops(images, team.device)
    chosen = params.adapt.model_copy(update={"batch_size": setting.batch_size, "steps_per_epoch": 10_000})
    source = SourceDomain(crops, rows, labels_of(images), rows[:0])
    target = TargetDomain(crops, rows[:256], rows[:0])
    model = PrototypeClassifier(_network(setting, params), Prototypes(params.model.projection_dim))
    return _run(Pocan(model, source, target, chosen, params.augment, 0, team))


def _run(task: Pretraining | Pocan) -> Iterator[int]:
    for epoch in range(10_000):
        plan = task.begin_epoch(epoch)
        for batch in prefetched(plan.batches):
            task.step(batch, 0.5)
            yield plan.images // plan.steps


def _team(setting: Setting) -> Team:
    compute = {"precision": setting.precision, "compile": setting.compiled, "devices": 1}
    return Team.start(setting.device, ComputeParams.model_validate(compute))


def _network(setting: Setting, params: Params) -> Network:
    return Network(params.model.model_copy(update={"backbone": setting.backbone}))


# ---------------------------------------------------------------------------------------------- the ceiling


class _Bare:
    """Train only the network, in the project's precision and memory layout, on one fixed batch of views."""

    def __init__(self, setting: Setting, images: Crops, params: Params) -> None:
        self.team = _team(setting)
        loop.prepare(0, self.team.device)
        self.network = _network(setting, params).train()
        self.project = self.team.setup(self.network)
        self._optimiser = torch.optim.SGD(self.network.parameters(), lr=1e-3, momentum=0.9, fused=True)
        self.views = torch.rand(2 * setting.batch_size, 3, *images.shape[1:3], device=self.team.device)
        # Projections are pulled to a fixed place, so that gradients neither vanish nor grow.
        self._place = torch.randn(params.model.projection_dim, device=self.team.device)

    def update(self, *projections: Tensor) -> None:
        self._optimiser.zero_grad()
        self.team.backward(torch.stack([(z @ self._place).mean() for z in projections]).sum())
        self._optimiser.step()


def bare_stage_1(setting: Setting, images: Crops, params: Params) -> Iterator[int]:
    """Make one step: forward pass, backward pass and update."""
    bare = _Bare(setting, images, params)
    while True:
        bare.update(bare.project(bare.views))
        yield len(bare.views)


def bare_stage_2(setting: Setting, images: Crops, params: Params) -> Iterator[int]:
    """Make the minimum passes of stage 2: both domains forward and backward, then both in evaluation mode."""
    bare = _Bare(setting, images, params)
    while True:
        bare.update(bare.project(bare.views), bare.project(bare.views))
        bare.network.eval()
        with torch.no_grad(), bare.team.autocast():
            bare.network(bare.views), bare.network(bare.views)
        bare.network.train()
        yield 2 * len(bare.views)


# ---------------------------------------------------------------------------------------------- a plain loop


class TwoViewDataset(Dataset[tuple[Tensor, Tensor, int]]):
    """Two views of each picture by torchvision's transforms on single images, and its label."""

    def __init__(self, images: Crops, params: Params) -> None:
        self._images, views = images, params.augment
        low, high = views.crop
        self._view = v2.Compose(
            [
                v2.RandomResizedCrop(images.shape[1], scale=(low**2, high**2), ratio=(1.0, 1.0)),
                v2.RandomHorizontalFlip(views.flip),
                v2.RandomApply([v2.ColorJitter(BRIGHTNESS, CONTRAST, SATURATION, HUE)], views.jitter),
                v2.RandomGrayscale(views.grayscale),
                v2.RandomApply([v2.GaussianBlur(3, BLUR_SIGMA)], views.blur),
                v2.ToImage(),
                v2.ToDtype(torch.float32, scale=True),
            ]
        )

    def __len__(self) -> int:
        return len(self._images)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor, int]:
        # As PIL images: torchvision's transforms of single images are fastest on those.
        image = Image.fromarray(self._images[index])
        return self._view(image), self._view(image), index % 7


def plain_stage_1(setting: Setting, images: Crops, params: Params) -> Iterator[int]:
    """Train stage 1 by a straightforward loop: the same network, loss and optimiser, with PyTorch's defaults."""
    device = torch.device(setting.device)
    network = _plain_network(setting, params, device)
    optimiser = torch.optim.SGD(network.parameters(), lr=1e-3, momentum=0.9, weight_decay=1e-5)
    for views, labels in _plain_batches(setting, images, params):
        loss = supervised_contrastive(network(views), labels, params.pretrain.tau)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        yield len(views)


def plain_stage_2(setting: Setting, images: Crops, params: Params) -> Iterator[int]:
    """Train stage 2 likewise; half of the target's pictures are trusted, as in a real run."""
    device = torch.device(setting.device)
    network, dim = _plain_network(setting, params, device), params.model.projection_dim
    m_s, m_t = Prototypes(dim).to(device).matrix, Prototypes(dim).to(device).matrix
    weights = torch.ones(7, device=device)
    pocan = params.adapt
    assert isinstance(pocan, PocanParams)
    network_optimiser = torch.optim.SGD(network.parameters(), lr=1e-3, momentum=0.9, weight_decay=1e-5)
    prototype_optimiser = torch.optim.SGD([m_s, m_t], lr=1e-3, momentum=0.9, weight_decay=1e-5)
    cross_entropy = weighted_cross_entropy
    domains = zip(_plain_batches(setting, images, params), _plain_batches(setting, images, params), strict=True)
    for (source, y_s), (target, y_t) in domains:
        z_s, z_t, half = network(source), network(target), len(target) // 2
        frozen_s, frozen_t = m_s.detach(), m_t.detach()
        loss = nt_xent(z_t, pocan.tau) + cross_entropy(z_t[:half], frozen_t, y_t[:half], weights)
        loss = loss + supervised_contrastive(z_s, y_s, pocan.tau_source)
        loss = loss + cross_entropy(z_s, frozen_s, y_s, weights) + cross_entropy(z_s, frozen_t, y_s, weights)
        loss = loss + cross_entropy(z_t[:half], frozen_s, y_t[:half], weights)
        loss = loss + domain_confusion(z_s, z_t, frozen_s, frozen_t)
        network_optimiser.zero_grad()
        loss.backward()
        network_optimiser.step()
        network.eval()
        with torch.no_grad():
            z_s, z_t = network(source), network(target)
        network.train()
        loss = cross_entropy(z_s, m_s, y_s, weights) + cross_entropy(z_t[:half], m_t, y_t[:half], weights)
        loss = loss + domain_discrimination(z_s, z_t, m_s, m_t)
        prototype_optimiser.zero_grad()
        loss.backward()
        prototype_optimiser.step()
        yield len(source) + len(target)


def _plain_network(setting: Setting, params: Params, device: torch.device) -> nn.Module:
    network = _network(setting, params)
    network.encoder.trunk.to(memory_format=torch.contiguous_format)
    return nn.Sequential(_PlainEncoder(network.encoder.trunk), network.head).to(device).train()


class _PlainEncoder(nn.Module):
    """The encoder without the project's memory layout; an input without normalisation, as ``model.weights: none``."""

    def __init__(self, trunk: nn.Module) -> None:
        super().__init__()
        self.trunk = trunk

    def forward(self, images: Tensor) -> Tensor:
        return nn.functional.normalize(self.trunk(images))


def _plain_batches(setting: Setting, images: Crops, params: Params) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield both views of a batch, stacked, and their labels, endlessly."""
    loader = DataLoader(
        TwoViewDataset(images, params),
        batch_size=setting.batch_size,
        shuffle=True,
        drop_last=True,
        num_workers=2 if setting.device == "cpu" else 8,
        pin_memory=setting.device == "cuda",
        persistent_workers=True,
    )
    while True:
        for first, second, labels in loader:
            views = torch.cat([first, second]).to(setting.device, non_blocking=True)
            yield views, labels.repeat(2).to(setting.device, non_blocking=True)


Contestant = Callable[[Setting, Crops, Params], Iterator[int]]

CONTESTANTS: dict[tuple[str, str], Contestant] = {
    ("plain", "1"): plain_stage_1,
    ("project", "1"): project_stage_1,
    ("bare", "1"): bare_stage_1,
    ("plain", "2"): plain_stage_2,
    ("project", "2"): project_stage_2,
    ("bare", "2"): bare_stage_2,
}
