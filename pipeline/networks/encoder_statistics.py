"""The target's own statistics in the encoder's batch norms (AdaBN; Li et al., ICLR 2017 workshops).

Other cameras move the mean and variance of what the layers compute. The target's own ones undo that; but where the
target has other class shares than the source, they also remove what tells classes apart. Without labels mutual
information tells both cases apart: on trial targets it rises where accuracy rises (docs/results.md).
"""

import copy
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from pipeline.errors import ParamsError
from pipeline.networks.inference import evaluating
from pipeline.networks.network import Encoder, PrototypeClassifier
from pipeline.validators.measures import information

PICTURES = 2048
"""The statistics of the target are those of at most so many of its pictures."""

Batches = Callable[[], Iterable[Tensor]]
"""Gives evaluation views, float n×3×112×112 on the encoder's device, in batches of nearly one size."""


@dataclass(frozen=True)
class StatisticsChoice:
    """Whose statistics an encoder has for a target, and why.

    Attributes:
        chosen: source or target.
        of_source: mutual information of the predictions with the source's statistics; None: it was not asked for.
        of_target: the same with the target's.
    """

    chosen: Literal["source", "target"]
    of_source: float | None = None
    of_target: float | None = None


def choose(
    model: PrototypeClassifier, rule: Literal["target", "information"], batches: Batches
) -> tuple[StatisticsChoice, Encoder]:
    """Decide whose statistics the encoder has for a target.

    Args:
        model: the source model, in evaluation mode on the device of the batches.
        rule: target: always the target's; information: these where the mutual information of the model's predictions
            rises by them.
        batches: of the target's pictures.

    Returns:
        The choice, and the encoder with the chosen statistics: the model's own, or a copy.

    Raises:
        ParamsError: the target's are asked for, and the encoder has no batch norms.
    """
    encoder = model.network.encoder
    if not norms(encoder):
        if rule == "target":
            raise ParamsError("adapt.encoder_statistics: this encoder has no batch norms; set it to source")
        return StatisticsChoice("source"), encoder
    adapted = with_statistics(encoder, batches())
    if rule == "target":
        return StatisticsChoice("target"), adapted
    before, after = (_information(model, one, batches()) for one in (encoder, adapted))
    if after > before:
        return StatisticsChoice("target", before, after), adapted
    return StatisticsChoice("source", before, after), encoder


@torch.no_grad()
def with_statistics(encoder: Encoder, batches: Iterable[Tensor]) -> Encoder:
    """Copy an encoder and let its batch norms have the mean statistics of these batches."""
    adapted = copy.deepcopy(encoder).eval()
    found = norms(adapted)
    momenta = [norm.momentum for norm in found]
    for norm in found:
        norm.reset_running_stats()
        norm.momentum = None  # the mean over all batches, each counted once
        norm.train()
    for images in batches:
        adapted(images)
    for norm, momentum in zip(found, momenta, strict=True):
        norm.momentum = momentum
    return adapted.eval()


def norms(encoder: nn.Module) -> list[_BatchNorm]:
    """The batch norms that have running statistics."""
    return [part for part in encoder.modules() if isinstance(part, _BatchNorm) and part.track_running_stats]


def statistics(encoder: Encoder) -> dict[str, Tensor]:
    """The running statistics of the batch norms, by name."""
    kept = {f"{name}.{key}" for name, part in encoder.named_modules() if isinstance(part, _BatchNorm) for key in _KEPT}
    return {name: value for name, value in encoder.state_dict().items() if name in kept}


_KEPT = ("running_mean", "running_var")


@torch.no_grad()
def _information(model: PrototypeClassifier, encoder: Encoder, batches: Iterable[Tensor]) -> float:
    """Mutual information of what the model predicts with this encoder, whichever classes are known to occur."""
    found = []
    with evaluating(model), evaluating(encoder):
        for images in batches:
            logits = model.prototypes(model.network.head(encoder(images)))
            found.append(torch.softmax(logits - model.decision.adjustment, dim=1))
    return information(torch.cat(found).cpu().numpy())
