"""The sections of params.yaml on learning: the networks, training views, both parts of the source model, computing.

What stage 2 takes is declared by each adaptation method, in ``pipeline.config.methods``.
"""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from pipeline.backbones import BACKBONES, Backbone, Family, InputNorm
from pipeline.config.section import (
    Balance,
    ClassWeights,
    Fraction,
    Momentum,
    Name,
    NonNegativeFloat,
    PositiveFloat,
    PositiveInt,
    Section,
)
from pipeline.registry import unknown


class ModelParams(Section):
    """Encoder and projection head (docs/method.md). Backbones and their weights: docs/backbones.md.

    Attributes:
        backbone: a name of ``pipeline.backbones.BACKBONES``.
        architecture: which one of a family of backbones (timm), by its own name.
        weights: what the encoder starts from; each backbone knows its own.
        weights_file: your copy of these, where they are not downloaded.
        input_size: in pixels; the 112×112 crops are resized to it inside the encoder. null: they are taken as they are.
        projection_hidden: width of the head's hidden layer.
        projection_dim: length of a projection z.
        projection_norm: what stands between g's last layer and the L2 norm: none (the paper), or batch, a batch norm
            without scale and shift as in SimCLR's released code, so that projections cannot all become one point.
    """

    backbone: Name
    architecture: str | None = None
    weights: Name
    weights_file: str | None = None
    input_size: PositiveInt | None = None
    projection_hidden: PositiveInt
    projection_dim: PositiveInt
    projection_norm: Literal["none", "batch"] = "none"

    @model_validator(mode="after")
    def _weights_fit_backbone(self) -> Self:
        if self.backbone not in BACKBONES:
            raise ValueError(f"backbone: {BACKBONES.absent(self.backbone)}")
        self._check_architecture_and_size()
        weights = BACKBONES[self.backbone].weights
        if self.weights not in weights:
            raise ValueError(self._misfit())
        if weights[self.weights].from_file and not self.weights_file:
            raise ValueError(f"weights {self.weights} need weights_file: the path of your copy (docs/backbones.md)")
        if self.weights_file and not weights[self.weights].from_file:
            files = {name for entry in BACKBONES.values() for name, value in entry.weights.items() if value.from_file}
            raise ValueError(f"weights_file goes with weights: {' or '.join(sorted(files))}; remove it")
        return self

    def _check_architecture_and_size(self) -> None:
        entry = BACKBONES[self.backbone]
        if isinstance(entry, Family) and not self.architecture:
            raise ValueError(f"architecture: {self.backbone} needs a name of its own models, such as {entry.example}")
        if self.architecture and not isinstance(entry, Family):
            families = [name for name, other in BACKBONES.items() if isinstance(other, Family)]
            raise ValueError(f"architecture goes with backbone: {' or '.join(families)}; remove it")
        if self.input_size and self.input_size not in entry.sizes:
            low, high = entry.sizes[0], entry.sizes[-1]
            span = f"{low} only; remove the key" if low == high else f"{low} to {high}"
            raise ValueError(f"input_size: pictures for {self.backbone} may have a side of {span}")

    def chosen_backbone(self) -> Backbone:
        """What these name: a backbone by itself, or an architecture of a family.

        Raises:
            ParamsError: the family has no such architecture, or its library is not installed.
        """
        return BACKBONES[self.backbone].of(self.architecture, self.input_size)

    def input_norm(self, backbone: Backbone) -> InputNorm | None:
        """What the weights expect of RGB in [0, 1]; None: as it is.

        Args:
            backbone: the chosen one.
        """
        return backbone.weights[self.weights].norm

    def _misfit(self) -> str:
        """What to say where the backbone has no such weights."""
        owners = [name for name, entry in BACKBONES.items() if self.weights in entry.weights]
        if not owners:
            names = dict.fromkeys(name for entry in BACKBONES.values() for name in entry.weights)
            return f"weights: unknown weights {unknown(self.weights, names)}"
        if len(owners) == 1:
            return f"weights {self.weights} are those of {BACKBONES[owners[0]].title}: set backbone: {owners[0]}"
        return f"there are no {self.weights} weights for {self.backbone}: choose {', '.join(owners)}"


class LinearModelParams(ModelParams):
    """Of a network that was trained elsewhere and ends in a linear layer (docs/import-model.md); it has no head g.

    z is what that layer sees, f's features as they are; ``projection_dim`` and ``projection_hidden`` are its length.

    Attributes:
        classifier: tells models of this kind from others.
        input_mean: of red, green and blue in [0, 1], which the network expects to be taken off; null: as its weights.
        input_std: by which it expects them to be divided then; null: as its weights.
    """

    classifier: Literal["linear"] = "linear"
    input_mean: tuple[Fraction, Fraction, Fraction] | None = None
    input_std: tuple[PositiveFloat, PositiveFloat, PositiveFloat] | None = None

    def input_norm(self, backbone: Backbone) -> InputNorm | None:
        own = super().input_norm(backbone)
        if self.input_mean is None and self.input_std is None:
            return own
        mean = self.input_mean or (own.mean if own else (0.0, 0.0, 0.0))
        return InputNorm(1.0, mean, self.input_std or (own.std if own else (1.0, 1.0, 1.0)))


class AugmentParams(Section):
    """Training views (docs/method.md).

    Attributes:
        crop: range of the side that a random crop keeps, as shares.
        jitter: probability of another brightness, contrast, saturation and hue.
        grayscale: probability of a grey view.
        blur: probability of a blurred view.
        flip: probability of a mirrored view.
        eval_crop: share of the side that the centre crop keeps, where nothing is trained.
    """

    crop: tuple[Fraction, Fraction]
    jitter: Fraction
    grayscale: Fraction
    blur: Fraction
    flip: Fraction
    eval_crop: Annotated[float, Field(gt=0.0, le=1.0)]

    @model_validator(mode="after")
    def _crop_is_a_range(self) -> Self:
        low, high = self.crop
        if not 0.0 < low <= high:
            raise ValueError("crop must be a range [low, high] with 0 < low <= high <= 1")
        return self


class PretrainParams(Section):
    """Stage 1.

    Attributes:
        objective: supcon (eq. 4, the paper), cross_entropy (of z·Wᵀ, with a matrix W that only stage 1 has) or both,
            added.
        label_smoothing: of the cross entropy: the share of a label that is spread evenly over all classes (Szegedy et
            al., CVPR 2016), for labels on which annotators disagree.
        epochs: passes over the source's training part.
        warmup_epochs: epochs in which the learning rates rise from 0 before their cosine decay begins; the paper, which
            starts from a pre-trained encoder, has none. Without one, an encoder that starts from nothing tends to
            collapse where ``model.projection_norm`` is none.
        batch_size: pictures in a step.
        views: training views of each picture in a step; contrastive losses compare two.
        sampling: uniform (every picture once an epoch, the paper) or balanced (every class equally often).
        lr: of the encoder f.
        head_lr: of the projection head g and of W; null: the same.
        momentum: of stochastic gradient descent.
        weight_decay: of the optimiser.
        tau: the temperature τ' of the supervised contrastive loss.
        ema: decay of an average of f and g over the steps, which is the source model then (Tarvainen and Valpola,
            NeurIPS 2017); 0: none, the last step's weights.
    """

    objective: Literal["supcon", "cross_entropy", "both"] = "supcon"
    label_smoothing: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.0
    epochs: PositiveInt
    warmup_epochs: Annotated[int, Field(ge=0)]
    batch_size: Annotated[int, Field(ge=2)]
    views: Literal[1, 2] = 2
    sampling: Literal["uniform", "balanced"] = "uniform"
    lr: PositiveFloat
    head_lr: PositiveFloat | None = None
    momentum: Momentum
    weight_decay: NonNegativeFloat
    tau: PositiveFloat
    ema: Momentum = 0.0

    @model_validator(mode="after")
    def _two_views_are_compared(self) -> Self:
        if self.views == 1 and self.objective in ("supcon", "both"):
            raise ValueError(f"views: objective {self.objective} compares two views of each picture; set views: 2")
        return self

    @model_validator(mode="after")
    def _warmup_ends(self) -> Self:
        if self.warmup_epochs >= self.epochs:
            raise ValueError(f"warmup_epochs {self.warmup_epochs} must be less than epochs {self.epochs}")
        return self


class PrototypeParams(Section):
    """Source prototypes, eq. 2.

    Attributes:
        epochs: passes over the source's training part.
        batch_size: pictures in a step.
        lr: of the prototypes M_s.
        momentum: of stochastic gradient descent.
        class_weights: printed (eq. 13), code, balanced (as ``balance`` says) or none.
        balance: how balanced weights are made.
        logit_adjustment: τ of Menon et al. (ICLR 2021) in what the source model predicts: 0 (the paper) decides by the
            probabilities, 1 as if the classes were alike in number in the training (their weights included).
    """

    epochs: PositiveInt
    batch_size: PositiveInt
    lr: PositiveFloat
    momentum: Momentum
    class_weights: ClassWeights
    balance: Balance = Balance()
    logit_adjustment: NonNegativeFloat = 0.0


class ComputeParams(Section):
    """How stages 1 and 2 compute; what they compute is the same but for rounding.

    Attributes:
        precision: of the training passes through f and g: auto is bf16 on GPUs that multiply it, fp32 on every CPU. L2
            norms, losses, prototypes and everything that is predicted or scored stay fp32.
        compile: let torch.compile fuse f and g (worth its minutes in long runs; needs a C++ compiler on the CPU).
        devices: processes that share every batch, one a GPU; on the CPU they share its cores.
    """

    precision: Literal["auto", "fp32", "bf16"]
    compile: bool
    devices: PositiveInt
