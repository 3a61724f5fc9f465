"""Parameters that methods share: of those that train f, g and M on both domains, some by two classifiers."""

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
    """How a batch norm sees pictures of both domains.

    Attributes:
        domain_passes: joint (one pass with both domains) or separate (batch norm sees one domain at a time).
        batch_norm: which passes the running statistics of batch norms follow, by which is predicted: shared (those of
            both domains, as published), source or target (that domain's alone; needs separate passes), or frozen (they
            stay the source model's, and training passes are normalised by them, too).
    """

    domain_passes: Literal["joint", "separate"]
    batch_norm: BatchNormMode = "shared"

    @model_validator(mode="after")
    def _passes_can_be_told_apart(self) -> Self:
        if self.batch_norm in ("source", "target") and self.domain_passes == "joint":
            raise ValueError(f"batch_norm {self.batch_norm} needs domain_passes: separate")
        return self


class TwoDomainsParams(BothDomainsParams):
    """Optimiser and class weights; the defaults are those that DANN and its successors are published with.

    Attributes:
        lr: of f and g.
        prototype_lr: of M.
        own_factor: rate of the method's own modules, which do not come from the source model, over lr; null: that of M.
        schedule: inverse, the rates times (1 + 10 p)^−0.75 of the progress p (Ganin et al., JMLR 2016), or constant.
        momentum: of the optimiser.
        nesterov: whether it looks ahead (Nesterov's momentum, as PyTorch has it).
        weight_decay: of the optimiser.
        class_weights: of the source's cross entropy, as in POCAN (none: as published).
        balance: of balanced class weights.
        logit_adjustment: τ of Menon et al. (ICLR 2021), from 0 to 1, in what predicts, as in POCAN; of a source-free
            method the source model's own holds.
        ema: decay of an average of all that is trained, which then predicts (Tarvainen and Valpola, NeurIPS 2017); 0:
            none.
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
        """The rate of the method's own modules."""
        return self.prototype_lr if self.own_factor is None else self.own_factor * self.lr

    @model_validator(mode="after")
    def _something_to_look_ahead_by(self) -> Self:
        if self.nesterov and self.momentum == 0:
            raise ValueError("nesterov needs a momentum above 0: set nesterov: false, or momentum")
        return self


class TwoClassifiersParams(TwoDomainsParams):
    """Parameters of methods that let two classifiers disagree, in three steps a batch.

    Attributes:
        repeats: steps of f and g that bring the classifiers together (n of MCD's paper).
        apart: how far the second classifier starts from the first, as a share of the spread of M.
    """

    repeats: PositiveInt
    apart: PositiveFloat = 0.5
