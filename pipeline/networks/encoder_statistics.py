"""What the encoder takes over from a target without training: grey levels, batch norm statistics, restored features.

A tone curve matches the grey levels (``pipeline.networks.grey_levels``), and a linear map restores the features
(``pipeline.networks.restoration``). The statistics go into the encoder's batch norms (AdaBN; Li et al., ICLR 2017
workshops). Another camera shifts the means and variances of what the layers compute; the target's own ones undo that. A
target with other class shares shifts them, too, and this must stay, because it tells classes apart. So the statistics
are those of pictures that are drawn with the source's class shares, by their predicted classes (as Gong et al., NeurIPS
2022, draw them with equal shares), and the source's count as much as these (Schneider et al., NeurIPS 2020). Whether
any of this helps, the entropy of the predictions says, without labels (docs/results.md).
"""

import copy
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor
from torch.nn.modules.batchnorm import _BatchNorm

from pipeline.config.learning import EncoderRules, WhenRule
from pipeline.errors import ParamsError
from pipeline.networks.grey_levels import GreyLevels, ToneCurve
from pipeline.networks.inference import evaluating
from pipeline.networks.network import Encoder, PrototypeClassifier
from pipeline.networks.restoration import Restoration
from pipeline.validators.measures import entropy

OWN = 0.5
"""Weight of the target's statistics in the mean with the source's. On trial targets with few classes the target's alone
lost up to 15 points."""

MARGIN = 0.05
"""The mean entropy of the predictions must fall by more than this, in nats: with the target's statistics alone, or with
these and restored features. Mutual information also rises where classes are mixed up: there the mean prediction becomes
more even, but no single one surer."""

TONE_MARGIN = 0.015
"""The same for matched grey levels. They change less, and nothing where they are the source's already."""

Taken = tuple["StatisticsChoice", Encoder]
"""What is taken over, and the encoder that has it."""

Batches = Callable[[Tensor], Iterable[Tensor]]
"""Return evaluation views of some pictures (places, int64), float n×3×112×112 on the encoder's device, in batches."""


@dataclass(frozen=True)
class StatisticsChoice:
    """What the encoder takes over from a target, and why.

    Attributes:
        chosen: the statistics of its batch norms: source or target.
        of_source: mean entropy of the predictions with the source's statistics, in nats; None: not computed.
        of_target: the same with the target's statistics alone.
        matched: whether a tone curve matches the grey levels.
        unmatched_entropy: mean entropy of the predictions for the pictures as they are; None: not computed.
        matched_entropy: the same with matched grey levels.
        restored: whether a linear map restores the features.
        blur: standard deviation of the blur of the target's camera, in pixels; None: not fitted.
        noise: standard deviation of its noise, in grey levels of 255.
        side: side of its pictures in pixels, if they were enlarged; None: they were not, or nothing was fitted.
        unrestored_entropy: mean entropy of the source model's predictions; None: not computed.
        restored_entropy: the same with restored features and all that comes with them, also if they are not taken.
    """

    chosen: Literal["source", "target"] = "source"
    of_source: float | None = None
    of_target: float | None = None
    matched: bool = False
    unmatched_entropy: float | None = None
    matched_entropy: float | None = None
    restored: bool = False
    blur: float | None = None
    noise: float | None = None
    side: int | None = None
    unrestored_entropy: float | None = None
    restored_entropy: float | None = None

    @property
    def statistics_suffice(self) -> bool:
        """Whether the target's statistics alone make the predictions surer by more than ``MARGIN``."""
        return self.of_source is not None and self.of_target is not None and self.of_target < self.of_source - MARGIN

    @property
    def unchanged(self) -> bool:
        """Whether the encoder is the source's."""
        return self.chosen == "source" and not self.matched and not self.restored


def choose(model: PrototypeClassifier, rules: EncoderRules, count: int, batches: Batches) -> tuple[Taken, Taken]:
    """Decide what the encoder takes over from a target: its statistics or, where they do not help, its grey levels.

    By entropy it takes one of them at most, because another camera changes both, and one correction often suffices.
    Grey levels stay as they are if the model does not know the source's (an older or imported one).

    Args:
        model: the source model, in evaluation mode on the device of the batches.
        rules: the rules. With entropy the mean entropy of the model's predictions must fall by more than ``MARGIN`` or
            ``TONE_MARGIN``.
        count: number of pictures.
        batches: evaluation views of pictures, by their places from 0 to count − 1.

    Returns:
        The choice, with the encoder to use: the model's own, or a changed copy. Then what a restoration by entropy is
        fitted for: if ``rules.statistics`` is entropy, the target's statistics, also where these alone do not suffice.

    Raises:
        ParamsError: ``rules.statistics`` is target, and the encoder has no batch norms.
    """
    encoder, every, choice = model.network.encoder, torch.arange(count), StatisticsChoice()
    has_norms = any(isinstance(part, _BatchNorm) for part in encoder.modules())
    if rules.statistics == "target" and not has_norms:
        raise ParamsError("adapt.encoder_statistics: this encoder has no batch norms; set it to source")
    if rules.matching == "always" and model.grey_levels is not None:
        encoder, choice = (
            with_matched_levels(encoder, model.grey_levels, batches(every)),
            StatisticsChoice(matched=True),
        )
    mixes = rules.statistics != "source" and has_norms and count > 1  # a single picture has no variance
    levels = model.grey_levels if rules.matching == "entropy" else None
    if levels is None and not mixes:
        return (choice, encoder), (choice, encoder)
    found, adapted = _probabilities(model, encoder, batches(every)), None
    before = entropy(found.numpy())
    if mixes:
        adapted = with_statistics(encoder, batches(drawn(found.argmax(dim=1), _shares(model))))
        if rules.statistics == "entropy":
            after = entropy(_probabilities(model, adapted, batches(every)).numpy())
            choice = replace(choice, of_source=before, of_target=after)
        if rules.statistics == "target" or choice.statistics_suffice:
            taken = replace(choice, chosen="target"), adapted
            return taken, taken
    taken = choice, encoder
    if levels is not None:
        toned = with_matched_levels(encoder, levels, batches(every))
        after = entropy(_probabilities(model, toned, batches(every)).numpy())
        choice = replace(choice, unmatched_entropy=before, matched_entropy=after)
        taken = (replace(choice, matched=True), toned) if after < before - TONE_MARGIN else (choice, encoder)
    return taken, taken if adapted is None else (replace(choice, chosen="target"), adapted)


def choose_restored(
    model: PrototypeClassifier,
    rule: WhenRule,
    taken: Taken,
    restorable: Taken,
    restoration: Restoration,
    batches: Callable[[], Iterable[Tensor]],
) -> Taken:
    """Decide whether features are restored, after all else has been decided.

    Args:
        model: the source model, in evaluation mode on the device of the batches.
        rule: ``adapt.restoration``. With entropy the mean entropy of the source model's predictions must fall by more
            than ``MARGIN``, and by more than with the target's statistics alone, if these suffice.
        taken: what is taken over without a restoration.
        restorable: what is taken over besides the restoration, if features are restored.
        restoration: fitted for the encoder of ``restorable``.
        batches: returns evaluation views of pictures, as often as it is called.

    Returns:
        The choice, and the encoder to use: that of ``taken``, or a copy that restores features.
    """
    choice, encoder = restorable
    restored = copy.deepcopy(encoder)
    restored.restoration = restoration
    if rule == "always":
        return replace(choice, restored=True), restored
    after = entropy(_probabilities(model, restored, batches()).numpy())
    # ``choose`` has predicted with the source's encoder already, unless a tone curve came first.
    before = None if choice.matched else choice.of_source
    if before is None:
        before = entropy(_probabilities(model, model.network.encoder, batches()).numpy())
    alone = taken[0].of_target if taken[0].statistics_suffice else None
    surer = after < before - MARGIN and (alone is None or after < alone)
    choice, encoder = (replace(choice, restored=True), restored) if surer else taken
    return replace(choice, unrestored_entropy=before, restored_entropy=after), encoder


def with_matched_levels(encoder: Encoder, source: GreyLevels, batches: Iterable[Tensor]) -> Encoder:
    """Copy an encoder and give it the tone curve that maps the grey levels of these batches to the source's."""
    toned = copy.deepcopy(encoder)
    toned.tone = ToneCurve(source.curve_from(GreyLevels.of(batches))).to(source.shares.device)
    return toned


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


def taken_over(encoder: Encoder) -> dict[str, Tensor]:
    """Return the batch norms' statistics, tone curve and restoration, if any, by their names in the encoder's state.

    They are on the CPU. ``take_over`` puts them into another encoder.
    """
    statistics = {
        f"{name}.{key}": part.get_buffer(key).cpu()
        for name, part in encoder.named_modules()
        if isinstance(part, _BatchNorm)
        for key in ("running_mean", "running_var")
    }
    parts = {"tone": encoder.tone, "restoration": encoder.restoration}
    return statistics | {
        f"{name}.{key}": value.cpu()
        for name, part in parts.items()
        if part is not None
        for key, value in part.state_dict().items()
    }


def take_over(encoder: Encoder, found: dict[str, Tensor]) -> None:
    """Put the result of ``taken_over`` into an encoder of the same kind, in place."""
    if "tone.curve" in found:
        encoder.tone = ToneCurve()
    if "restoration.weight" in found:
        encoder.restoration = Restoration(encoder.dim)
    encoder.load_state_dict(found, strict=False)


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
