"""Parameters shared by the methods that train f, g and M on both domains, and by those with two classifiers."""

from typing import ClassVar, Literal, Self

from pydantic import model_validator

from pipeline.config.methods.base import AdaptParams
from pipeline.config.methods.space import RATE, Space
from pipeline.config.section import (
    Balance,
    BatchNormMode,
    ClassWeights,
    Fraction,
    Momentum,
    NonNegativeFloat,
    PositiveFloat,
    PositiveInt,
)


class BothDomainsParams(AdaptParams):
    """How batch norms treat the two domains.

    Attributes:
        domain_passes: joint (one pass with both domains) or separate (one pass per domain).
        batch_norm: which training passes update the running statistics, which predictions use: shared (both domains, as
            published), source or target (only this domain; needs separate passes), or frozen (none: the source model's
            statistics also normalise training passes).
    """

    domain_passes: Literal["joint", "separate"]
    batch_norm: BatchNormMode = "shared"

    @model_validator(mode="after")
    def _passes_can_be_told_apart(self) -> Self:
        if self.batch_norm in ("source", "target") and self.domain_passes == "joint":
            raise ValueError(f"batch_norm {self.batch_norm} needs domain_passes: separate")
        return self


class TwoDomainsParams(BothDomainsParams):
    """Optimiser and class weights. The defaults are the published values of DANN and its successors.

    Attributes:
        lr: learning rate of f and g.
        prototype_lr: learning rate of M.
        own_factor: learning rate of the method's own modules, as a multiple of lr; null: prototype_lr.
        schedule: inverse (learning rates times (1 + 10 p)^−0.75, p: progress; Ganin et al., JMLR 2016) or constant.
        momentum: momentum of SGD.
        nesterov: use Nesterov momentum.
        weight_decay: weight decay of SGD.
        class_weights: weights of the source's cross entropy, as in POCAN (none: as published).
        balance: settings of balanced class weights.
        logit_adjustment: τ of logit adjustment in predictions (Menon et al., ICLR 2021), from 0 to 1, as in POCAN.
            Source-free methods use the source model's.
        ema: decay of a moving average of the trained weights, which then predicts (Tarvainen and Valpola, NeurIPS
            2017); 0: none.
    """

    space: ClassVar[Space] = {"lr": RATE, "prototype_lr": RATE, "batch_norm": ("shared", "target", "frozen")}

    lr: PositiveFloat = 1e-3
    prototype_lr: PositiveFloat = 1e-2
    own_factor: PositiveFloat | None = None
    schedule: Literal["inverse", "constant"] = "inverse"
    momentum: Momentum = 0.9
    nesterov: bool = False
    weight_decay: NonNegativeFloat = 1e-3
    class_weights: ClassWeights = "none"
    balance: Balance = Balance()
    logit_adjustment: Fraction = 0.0
    domain_passes: Literal["joint", "separate"] = "joint"
    ema: Momentum = 0.0

    @property
    def own_lr(self) -> float:
        """The learning rate of the method's own modules."""
        return self.prototype_lr if self.own_factor is None else self.own_factor * self.lr

    @model_validator(mode="after")
    def _something_to_look_ahead_by(self) -> Self:
        if self.nesterov and self.momentum == 0:
            raise ValueError("nesterov needs a momentum above 0: set nesterov: false, or momentum")
        return self


class TwoClassifiersParams(TwoDomainsParams):
    """Parameters of methods with two classifiers and three steps per batch.

    Attributes:
        repeats: steps of f and g per batch that reduce the discrepancy (n in MCD's paper).
        apart: initial noise of the second classifier, as a multiple of the standard deviation of M.
    """

    repeats: PositiveInt
    apart: PositiveFloat = 0.5
