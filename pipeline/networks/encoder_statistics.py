"""The target's own statistics in the encoder's batch norms (AdaBN; Li et al., ICLR 2017 workshops).

Another camera shifts the means and variances of what the layers compute; the target's own ones undo that. A target with
other class shares shifts them, too, and this must stay, because it tells classes apart. So the statistics are those of
pictures that are drawn with the source's class shares, by their predicted classes (as Gong et al., NeurIPS 2022, draw
them with equal shares), and the source's count as much as these (Schneider et al., NeurIPS 2020). Whether that helps,
the entropy of the predictions says, without labels (docs/results.md).
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
from pipeline.validators.measures import entropy

PICTURES = 2048
"""The statistics are computed from at most this many pictures of the target."""

OWN = 0.5
"""Weight of the target's statistics in the mean with the source's. On trial targets with few classes the target's alone
lost up to 15 points."""

MARGIN = 0.05
"""The mean entropy of the predictions must fall by more than this, in nats. Mutual information also rises where classes
are mixed up: there the mean prediction becomes more even, but no single one surer."""

Batches = Callable[[Tensor], Iterable[Tensor]]
"""Return evaluation views of some pictures (places, int64), float n×3×112×112 on the encoder's device, in batches."""


@dataclass(frozen=True)
class StatisticsChoice:
    """Which statistics the encoder has for a target, and why.

    Attributes:
        chosen: source or target.
        of_source: mean entropy of the predictions with the source's statistics, in nats; None: not computed.
        of_target: the same with the target's statistics.
    """

    chosen: Literal["source", "target"]
    of_source: float | None = None
    of_target: float | None = None


def choose(
    model: PrototypeClassifier, rule: Literal["target", "entropy"], count: int, batches: Batches
) -> tuple[StatisticsChoice, Encoder]:
    """Decide which statistics the encoder has for a target.

    Args:
        model: the source model, in evaluation mode on the device of the batches.
        rule: target: the target's statistics. entropy: the target's if the mean entropy of the model's predictions
            falls by more than ``MARGIN`` with them, otherwise the source's.
        count: number of pictures.
        batches: evaluation views of pictures, by their places from 0 to count − 1.

    Returns:
        The choice, and the encoder with these statistics: the model's own, or a copy.

    Raises:
        ParamsError: ``rule`` is target, and the encoder has no batch norms.
    """
    encoder, every = model.network.encoder, torch.arange(count)
    if not any(isinstance(part, _BatchNorm) for part in encoder.modules()):
        if rule == "target":
            raise ParamsError("adapt.encoder_statistics: this encoder has no batch norms; set it to source")
        return StatisticsChoice("source"), encoder
    if count < 2:  # a single picture has no variance
        return StatisticsChoice("source"), encoder
    before = _probabilities(model, encoder, batches(every))
    adapted = with_statistics(encoder, batches(drawn(before.argmax(dim=1), _shares(model))))
    if rule == "target":
        return StatisticsChoice("target"), adapted
    after = _probabilities(model, adapted, batches(every))
    of_source, of_target = (entropy(found.numpy()) for found in (before, after))
    if of_target < of_source - MARGIN:
        return StatisticsChoice("target", of_source, of_target), adapted
    return StatisticsChoice("source", of_source, of_target), encoder


def drawn(predicted: Tensor, shares: Tensor | None) -> Tensor:
    """Draw pictures whose predicted classes have the given shares.

    Args:
        predicted: predicted classes, N int64.
        shares: class shares, k float; None: all pictures, in random order. Classes that are never predicted are left
            out.

    Returns:
        N places, int64, with repetitions where shares are given; always the same for the same arguments.
    """
    generator = torch.Generator().manual_seed(0)
    if shares is None:
        return torch.randperm(len(predicted), generator=generator)
    counts = torch.bincount(predicted, minlength=len(shares))
    weights = (shares / counts.clamp(min=1))[predicted]
    # A class that the source does not have gets no picture; if only such ones are predicted, all count alike.
    return torch.multinomial(
        weights if weights.sum() > 0 else torch.ones(len(predicted)),
        len(predicted),
        replacement=True,
        generator=generator,
    )


@torch.no_grad()
def with_statistics(encoder: Encoder, batches: Iterable[Tensor]) -> Encoder:
    """Copy an encoder and mix the statistics of its batch norms with the means over these batches (``OWN``).

    The batches pass through norms that have the statistics of their batch alone.
    """
    adapted = copy.deepcopy(encoder).eval()
    norms = [part for part in adapted.modules() if isinstance(part, _BatchNorm)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # the mean over all batches
        norm.train()
    for images in batches:
        adapted(images)
    kept = [part for part in encoder.modules() if isinstance(part, _BatchNorm)]
    for norm, source, momentum in zip(norms, kept, momenta, strict=True):
        for name in ("running_mean", "running_var"):
            norm.get_buffer(name).lerp_(source.get_buffer(name), 1.0 - OWN)
        norm.momentum = momentum
    return adapted.eval()


def statistics(encoder: nn.Module) -> dict[str, Tensor]:
    """Return the running statistics of the batch norms, on the CPU, by their names in the state of ``encoder``."""
    return {
        f"{name}.{key}": part.get_buffer(key).cpu()
        for name, part in encoder.named_modules()
        if isinstance(part, _BatchNorm)
        for key in ("running_mean", "running_var")
    }


def _shares(model: PrototypeClassifier) -> Tensor | None:
    return None if model.statistics is None else model.statistics.shares.cpu()


@torch.no_grad()
def _probabilities(model: PrototypeClassifier, encoder: Encoder, batches: Iterable[Tensor]) -> Tensor:
    """Predict with this encoder, N×k on the CPU; known classes of the target do not count, so all runs choose alike."""
    found = []
    with evaluating(model), evaluating(encoder):
        for images in batches:
            logits = model.prototypes(model.network.head(encoder(images)))
            found.append(torch.softmax(logits - model.decision.adjustment, dim=1))
    return torch.cat(found).cpu()
