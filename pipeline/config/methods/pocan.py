"""POCAN's parameters, with the values of the paper and of its released code (docs/method.md)."""

from typing import ClassVar, Literal, Self

from pydantic import model_validator

from pipeline.config.methods.space import RATE, Space
from pipeline.config.methods.two_domains import BothDomainsParams
from pipeline.config.section import (
    Balance,
    ClassWeights,
    Fraction,
    Momentum,
    NonNegativeFloat,
    PositiveFloat,
    PositiveInt,
)


class PocanParams(BothDomainsParams):
    """Parameters of POCAN's stage 2, eqs. 5-16.

    If steps_per_epoch is null, an epoch lasts until source, trusted and untrusted pictures have each been seen once, as
    in the released code. The paper's four ablations (its Table 3) are use_l_in, use_l_cross, use_l_ad and
    class_weights: none. Parameters from logit_adjustment on are not in the paper; their defaults change nothing.

    Attributes:
        lr: learning rate of f and g.
        prototype_lr: learning rate of M_s and M_t.
        prototype_lr_drop_epoch: the epoch after which prototype_lr is divided by 10.
        momentum: momentum of both optimisers.
        weight_decay: weight decay of both optimisers.
        tau: temperature of NT-Xent on the target.
        tau_source: τ', temperature of the supervised contrastive loss on the source.
        beta: exponent of the adaptive threshold (eq. 14).
        class_weights: printed (eq. 13), code, balanced (see ``balance``) or none, in both domains.
        balance: settings of balanced class weights.
        lambda_on_prototypes: multiply L_tp by λ_t as well, as the released code does.
        use_l_in: use L_in in eq. 15.
        use_l_cross: use L_cross in eq. 15.
        use_l_ad: use the adversarial terms in eqs. 15 and 16.
        prototype_projections: projections in eq. 16: evaluation (a second pass by the updated f and g in evaluation
            mode, as the released code does) or training (those of the step's own pass; saves a quarter of the time).
        logit_adjustment: τ of logit adjustment in pseudo-labels and predictions (Menon et al., ICLR 2021), from 0 to 1,
            by the source's class shares, class weights included.
        pseudo_loss: probabilities in the cross entropy of pseudo-labels: printed (softmax(z·Mᵀ), eqs. 3, 5 and 9) or
            consistent (those that make pseudo-labels and predictions, with logit adjustment and possible classes).
        target_shares: class shares from which the target's class weights are computed: pseudo_labels (the paper), or em
            (estimated by expectation maximisation, Saerens et al. 2002).
        trusted_floor: minimum number of trusted samples per class, as a multiple of N/7 (Zou et al., ECCV 2018).
        trusted_cap: maximum number of trusted samples per class, as a multiple of N/7; null: no limit.
        keep_alive: if no pseudo-label is left of a class that had some at the start, label its most probable samples.
        ema: decay of a moving average of f, g, M_s and M_t, which then predicts and pseudo-labels (Tarvainen and
            Valpola, NeurIPS 2017); 0: none.
    """

    name: ClassVar[str] = "pocan"
    title: ClassVar[str] = "POCAN"
    citation: ClassVar[str] = "Prototype-oriented contrastive adaptation network, ACCV 2022"
    implementation: ClassVar[str] = "pipeline.methods.pocan:Pocan"
    space: ClassVar[Space] = {
        "lr": RATE,
        "prototype_lr": RATE,
        "tau": (0.1, 0.3, 0.5, 0.7),
        "beta": (1.0, 2.0, 4.0),
        "pseudo_loss": ("printed", "consistent"),
        "batch_norm": ("shared", "frozen"),
    }
    ramp: ClassVar[str] = "the cross entropy of pseudo-labels in l_target"

    lr: PositiveFloat = 1e-5
    prototype_lr: PositiveFloat = 1e-4
    prototype_lr_drop_epoch: PositiveInt = 10
    momentum: Momentum = 0.9
    weight_decay: NonNegativeFloat = 1e-5
    tau: PositiveFloat = 0.7
    tau_source: PositiveFloat = 0.1
    beta: NonNegativeFloat = 2.0
    class_weights: ClassWeights = "printed"
    balance: Balance = Balance()
    lambda_on_prototypes: bool = False
    use_l_in: bool = True
    use_l_cross: bool = True
    use_l_ad: bool = True
    prototype_projections: Literal["evaluation", "training"] = "evaluation"
    domain_passes: Literal["separate", "joint"] = "separate"
    logit_adjustment: Fraction = 0.0
    pseudo_loss: Literal["printed", "consistent"] = "printed"
    target_shares: Literal["pseudo_labels", "em"] = "pseudo_labels"
    trusted_floor: NonNegativeFloat = 0.0
    trusted_cap: PositiveFloat | None = None
    keep_alive: bool = False
    ema: Momentum = 0.0

    @model_validator(mode="after")
    def _something_to_minimise(self) -> Self:
        if not (self.use_l_in or self.use_l_cross or self.use_l_ad):
            raise ValueError("use_l_in, use_l_cross and use_l_ad are all false: nothing is left to minimise")
        return self

    @model_validator(mode="after")
    def _floor_below_cap(self) -> Self:
        if self.trusted_cap is not None and self.trusted_floor > self.trusted_cap:
            raise ValueError(f"trusted_floor {self.trusted_floor} is more than trusted_cap {self.trusted_cap}")
        return self

    def left_out(self) -> tuple[str, ...]:
        """Return the paper's ablations, in the words of its Table 3."""
        parts = {
            "L_in": self.use_l_in,
            "L_cross": self.use_l_cross,
            "L_ad": self.use_l_ad,
            "weights": self.class_weights != "none",
        }
        return tuple(part for part, used in parts.items() if not used)
