"""The sections of params.yaml on training: model, augment, pretrain, prototypes and compute.

The parameters of stage 2 are in ``pipeline.config.methods``, one module per method.
"""

from dataclasses import dataclass
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
        backbone: a key of ``pipeline.backbones.BACKBONES``.
        architecture: model name within a family of backbones (timm).
        weights: initial weights of the encoder; the names depend on the backbone.
        weights_file: path of your copy of the weights, if they are not downloaded.
        input_size: side in pixels to which the encoder resizes the 112×112 crops; null: no resizing.
        projection_hidden: width of the head's hidden layer.
        projection_dim: length of a projection z.
        projection_norm: normalisation between g's last layer and the L2 norm: none (the paper) or batch (a batch norm
            without scale and shift, as in SimCLR's released code; projections then cannot collapse to one point).
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
        """Return the backbone, or the architecture of a family.

        Raises:
            ParamsError: the family has no such architecture, or its library is not installed.
        """
        return BACKBONES[self.backbone].of(self.architecture, self.input_size)

    def input_norm(self, backbone: Backbone) -> InputNorm | None:
        """Return how RGB in [0, 1] is normalised for the weights; None: not at all.

        Args:
            backbone: the chosen backbone.
        """
        return backbone.weights[self.weights].norm

    def _misfit(self) -> str:
        """Return the error message for weights that the backbone does not have."""
        owners = [name for name, entry in BACKBONES.items() if self.weights in entry.weights]
        if not owners:
            names = dict.fromkeys(name for entry in BACKBONES.values() for name in entry.weights)
            return f"weights: unknown weights {unknown(self.weights, names)}"
        if len(owners) == 1:
            return f"weights {self.weights} are those of {BACKBONES[owners[0]].title}: set backbone: {owners[0]}"
        return f"there are no {self.weights} weights for {self.backbone}: choose {', '.join(owners)}"


class LinearModelParams(ModelParams):
    """An imported network with a linear classifier and without a head g (docs/import-model.md).

    z are the features of f, not normalised; ``projection_dim`` and ``projection_hidden`` are their number.

    Attributes:
        classifier: marks models of this kind.
        input_mean: mean of red, green and blue in [0, 1] that the network expects to be subtracted; null: as for the
            backbone's weights.
        input_std: standard deviation by which it expects the difference to be divided; null: likewise.
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
    """Augmentation of training views (docs/method.md).

    Attributes:
        crop: range of the side of a random crop, as a share of the picture's side.
        jitter: probability of a random change of brightness, contrast, saturation and hue.
        grayscale: probability of a grey view.
        blur: probability of a blurred view.
        flip: probability of a mirrored view.
        eval_crop: side of the centre crop in evaluation, as a share of the picture's side.
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
    """Stage 1: training of f and g on the source.

    Attributes:
        objective: supcon (eq. 4, the paper), cross_entropy (softmax(z·Wᵀ), with a matrix W that only stage 1 uses) or
            both (their sum).
        label_smoothing: label smoothing of the cross entropy (Szegedy et al., CVPR 2016).
        epochs: number of epochs.
        warmup_epochs: epochs in which learning rates rise from 0, before cosine decay. The paper starts from a
            pre-trained encoder and has none. Without warm-up, training from random weights tends to collapse if
            ``model.projection_norm`` is none.
        batch_size: pictures per step.
        views: training views per picture and step; contrastive losses need 2.
        sampling: uniform (every picture once per epoch, the paper) or balanced (every class equally often).
        lr: learning rate of the encoder f.
        head_lr: learning rate of the projection head g and of W; null: as lr.
        momentum: momentum of SGD.
        weight_decay: weight decay of SGD.
        tau: τ', temperature of the supervised contrastive loss.
        ema: decay of a moving average of f and g, which becomes the source model (Tarvainen and Valpola, NeurIPS 2017);
            0: none, the last step's weights.
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
        epochs: number of epochs.
        batch_size: pictures per step.
        lr: learning rate of the prototypes M_s.
        momentum: momentum of SGD.
        class_weights: printed (eq. 13), code, balanced (see ``balance``) or none.
        balance: settings of balanced class weights.
        logit_adjustment: τ of logit adjustment in the source model's predictions (Menon et al., ICLR 2021): 0 (the
            paper): none; 1: as if all classes had the same total weight in training.
    """

    epochs: PositiveInt
    batch_size: PositiveInt
    lr: PositiveFloat
    momentum: Momentum
    class_weights: ClassWeights
    balance: Balance = Balance()
    logit_adjustment: NonNegativeFloat = 0.0


class ComputeParams(Section):
    """How stages 1 and 2 are computed. Results are the same up to rounding.

    Attributes:
        precision: precision of training passes through f and g; auto: bf16 on GPUs that support it, fp32 on CPUs. L2
            norms, losses, prototypes, predictions and scores are always fp32.
        compile: use torch.compile for f and g (takes minutes, so only useful in long runs; on a CPU it needs a C++
            compiler).
        devices: number of processes that share every batch, one per GPU; on a CPU they share its cores.
    """

    precision: Literal["auto", "fp32", "bf16"]
    compile: bool
    devices: PositiveInt


StatisticsRule = Literal["source", "target", "entropy"]
WhenRule = Literal["never", "always", "entropy"]


@dataclass(frozen=True)
class EncoderRules:
    """When the encoder takes over grey levels or statistics of a target, and when its features are restored.

    Attributes:
        statistics: ``adapt.encoder_statistics``.
        matching: ``adapt.histogram_matching``.
        restoration: ``adapt.restoration``.
    """

    statistics: StatisticsRule = "source"
    matching: WhenRule = "never"
    restoration: WhenRule = "never"

    @property
    def nothing(self) -> bool:
        """Whether the encoder always stays the source's."""
        return self.statistics == "source" and self.matching == "never" and self.restoration == "never"


UNCHANGED = EncoderRules()
"""The encoder stays the source's."""
