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
    """Stage 2, eqs. 5-16.

    With steps_per_epoch null an epoch lasts until the longest of source, trusted and untrusted is seen, the released
    code's rule. The paper's four ablations (its Table 3) are use_l_in, use_l_cross, use_l_ad and class_weights: none.
    What the paper does not have, from logit_adjustment on, changes nothing by default.

    Attributes:
        lr: of f and g.
        prototype_lr: of M_s and M_t.
        prototype_lr_drop_epoch: the epoch after which prototype_lr is divided by 10.
        momentum: of both optimisers.
        weight_decay: of both optimisers.
        tau: temperature of NT-Xent on the target.
        tau_source: τ', temperature of the supervised contrastive loss on the source.
        beta: the exponent of the adaptive threshold (eq. 14).
        class_weights: printed (eq. 13), code, balanced (as ``balance`` says) or none, in both domains.
        balance: of balanced class weights.
        lambda_on_prototypes: multiply L_tp by λ_t too (code).
        use_l_in: whether eq. 15 has L_in.
        use_l_cross: whether eq. 15 has L_cross.
        use_l_ad: whether eqs. 15 and 16 have the adversarial terms.
        prototype_projections: which projections eq. 16 uses: evaluation (of the updated f and g, by a second pass in
            evaluation mode; code) or training (those of the step's own pass, which saves a quarter of the step).
        logit_adjustment: τ of Menon et al. (ICLR 2021), from 0 to 1, in what pseudo-labels and predicts: by the
            source's shares, its class weights included.
        pseudo_loss: what the cross entropy of pseudo-labels is of: printed (softmax(z·Mᵀ), eqs. 3, 5 and 9) or
            consistent (the decision that pseudo-labels and predicts, logit adjustment and possible classes included).
        target_shares: from which shares the target's class weights are made: those of the pseudo_labels (the paper), or
            estimated by expectation maximisation, em (Saerens et al. 2002).
        trusted_floor: at least so many trusted samples a class, in shares of N/7 (Zou et al., ECCV 2018).
        trusted_cap: at most so many.
        keep_alive: a class that dies out of the pseudo-labels is kept by its most confident samples.
        ema: decay of an average of f, g, M_s and M_t over the steps, which then predicts and pseudo-labels (Tarvainen
            and Valpola, NeurIPS 2017); 0: none.
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
