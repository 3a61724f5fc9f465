"""The typed schema of params.yaml: the only way in which a run's configuration enters the code.

The models are frozen: a stage hands its section down as a function argument and nothing changes on the way. What an
adaptation method takes is declared by the method, in ``pipeline.config.methods``. Reading: ``pipeline.config.load``.
"""

from typing import Annotated, Literal, Self

from pydantic import Field, SerializeAsAny, field_validator, model_validator

from pipeline.backbones import BACKBONES, Backbone, Family
from pipeline.config.methods.base import AdaptParams
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
    Seed,
)
from pipeline.datasets import DATASETS
from pipeline.labels import EXPRESSIONS
from pipeline.registry import unknown
from pipeline.standins.layouts import DRAWN

FaceRule = Literal["largest", "central", "confident"]
Upscale = Literal["linear", "cubic", "lanczos"]


class DataParams(Section):
    """Where the data sets are.

    root: folder with one sub-folder per data set, named as in params.yaml.
    sets: the sets with a reader of their own that are there (``pipeline.datasets.DATASETS``).
    folder_sets: names of further sub-folders: plain folders of pictures (see pipeline/datasets/folder.py).
    max_unreadable: share of a set's pictures that may be unreadable before the faces stage fails.
    """

    root: str
    sets: tuple[Name, ...]
    folder_sets: tuple[Name, ...] = ()
    max_unreadable: Fraction

    @model_validator(mode="after")
    def _sets_have_readers(self) -> Self:
        for name in self.sets:
            if name not in DATASETS:
                raise ValueError(
                    f"sets: unknown data set {unknown(name, DATASETS)}. "
                    "A folder of your own pictures is named in data.folder_sets"
                )
        for name in self.folder_sets:
            if name in DATASETS:
                raise ValueError(f"folder_sets: {name!r} is a data set with a reader of its own: name it in data.sets")
        return self


class StandinParams(Section):
    """The drawn stand-ins: which sets, from which seed, and ``scale``, a factor on the number of pictures."""

    sets: tuple[Name, ...]
    seed: Seed
    scale: PositiveFloat

    @field_validator("sets")
    @classmethod
    def _can_be_drawn(cls, sets: tuple[str, ...]) -> tuple[str, ...]:
        for name in sets:
            if name not in DRAWN:
                raise ValueError(f"no stand-in of {unknown(name, DRAWN)}")
        return sets


class FaceParams(Section):
    """Detection, choice and cropping of one face a picture.

    min_face: smallest face that is looked for, in pixels of the (possibly enlarged) picture.
    scale_factor: ratio of neighbouring pyramid levels. thresholds: scores of P-Net, R-Net and O-Net.
    search: exact (every level of the pyramid) or large_first (finer levels only where the coarse ones show no large
    face; for sets with one face a picture it finds the same face several times faster).
    enlarge_to: pictures with a shorter side below this are enlarged to it before detection (48×48 sets), in pixels.
    choose: which face is taken: largest, central (nearest to the picture's centre) or confident (highest score).
    track: in a sequence, take the face that continues the one taken before, where there is one.
    align: box (the detected box, as the paper has it) or similarity (five landmarks onto the standard template).
    margin: widening on each side, as a share of the box's size (similarity: of the crop's side).
    upscale: how a face smaller than the crop is enlarged. keep_aligned: take pictures that the set's own authors have
    aligned (RAF-DB's) whole, without detection. turned: where no face is seen, look again at the picture turned by 90,
    180 and 270 degrees. batch_size: pictures detected at a time.
    """

    min_face: Annotated[int, Field(ge=12)]
    scale_factor: Annotated[float, Field(gt=0.0, lt=1.0)]
    thresholds: tuple[Fraction, Fraction, Fraction]
    search: Literal["exact", "large_first"]
    enlarge_to: PositiveInt
    choose: FaceRule
    track: bool
    align: Literal["box", "similarity"]
    margin: Annotated[float, Field(ge=0.0, le=1.0)]
    upscale: Upscale
    keep_aligned: bool
    turned: bool = False
    batch_size: PositiveInt

    @model_validator(mode="after")
    def _search_shows_what_is_chosen(self) -> Self:
        wanted = "track: true" if self.track else f"choose: {self.choose}"
        if self.search == "large_first" and wanted != "choose: largest":
            raise ValueError(
                f"{wanted} must see every face, but search: large_first passes over small ones; set search: exact"
            )
        return self


class SplitParams(Section):
    """How one data set is divided (see pipeline/splits/protocols.py), and what is known of it.

    protocol: official (as distributed), all (every picture for adaptation and for the test), stratified (by class)
    or subject (no subject in both parts). test: number (int) or share (float) of test pictures, for the last two.
    duplicates: keep, or drop from the training part what is, or nearly is, a test picture; from the source's also what
    is in another set of this project. classes: of a target, the expressions that occur in it where this is known (CK+48
    has no neutral face); no other is predicted. null: nothing is known.
    """

    protocol: Literal["official", "all", "stratified", "subject"]
    test: int | float | None = None
    seed: Seed = 0
    duplicates: Literal["keep", "drop"] = "keep"
    classes: Annotated[tuple[str, ...], Field(min_length=2)] | None = None

    @field_validator("classes")
    @classmethod
    def _classes_are_expressions(cls, classes: tuple[str, ...] | None) -> tuple[str, ...] | None:
        for name in classes or ():
            if name not in EXPRESSIONS:
                raise ValueError(f"unknown expression {unknown(name, EXPRESSIONS)}")
        if classes and len(set(classes)) < len(classes):
            raise ValueError(f"an expression is named twice in {list(classes)}")
        return classes

    @model_validator(mode="after")
    def _test_goes_with_protocol(self) -> Self:
        needs_test = self.protocol in ("stratified", "subject")
        if needs_test and self.test is None:
            raise ValueError(f"protocol {self.protocol} needs test: a number or a share of the pictures")
        if not needs_test and self.test is not None:
            raise ValueError(f"protocol {self.protocol} takes no test: remove the key")
        if isinstance(self.test, float) and not 0.0 < self.test < 1.0:
            raise ValueError("test as a share must lie between 0 and 1")
        if isinstance(self.test, int) and self.test < 1:
            raise ValueError("test as a number must be at least 1")
        if self.protocol == "all" and self.duplicates == "drop":
            raise ValueError("protocol all tests the pictures it trains on: duplicates: drop has nothing to keep apart")
        return self


class ModelParams(Section):
    """Encoder and projection head (docs/method.md). Backbones and their weights: docs/backbones.md.

    architecture: which one of a family of backbones (timm), by its own name.
    input_size: pixels; the 112×112 crops are resized to it inside the encoder; null: they are taken as they are.
    """

    backbone: Name
    architecture: str | None = None
    weights: Name
    weights_file: str | None = None
    input_size: PositiveInt | None = None
    projection_hidden: PositiveInt
    projection_dim: PositiveInt

    @model_validator(mode="after")
    def _weights_fit_backbone(self) -> Self:
        if self.backbone not in BACKBONES:
            raise ValueError(f"backbone: unknown backbone {unknown(self.backbone, BACKBONES)}")
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

    def _misfit(self) -> str:
        """What to say where the backbone has no such weights."""
        owners = [name for name, entry in BACKBONES.items() if self.weights in entry.weights]
        if not owners:
            names = dict.fromkeys(name for entry in BACKBONES.values() for name in entry.weights)
            return f"weights: unknown weights {unknown(self.weights, names)}"
        if len(owners) == 1:
            return f"weights {self.weights} are those of {BACKBONES[owners[0]].title}: set backbone: {owners[0]}"
        return f"there are no {self.weights} weights for {self.backbone}: choose {', '.join(owners)}"


class AugmentParams(Section):
    """Training views (docs/method.md). crop: range of the side that a random crop keeps."""

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
    """Stage 1. tau: the temperature τ' of the supervised contrastive loss.

    objective: supcon (eq. 4, the paper), cross_entropy (of z·Wᵀ, with a matrix W that only stage 1 has) or both, added.
    sampling: uniform (every picture once an epoch, the paper) or balanced (every class equally often).
    lr: of the encoder f; head_lr: of the projection head g and of W, null: the same.
    warmup_epochs: epochs in which the learning rates rise from 0 before their cosine decay begins; the paper, which
    starts from a pre-trained encoder, has none. Without one, an encoder that starts from nothing tends to collapse.
    """

    objective: Literal["supcon", "cross_entropy", "both"] = "supcon"
    epochs: PositiveInt
    warmup_epochs: Annotated[int, Field(ge=0)]
    batch_size: Annotated[int, Field(ge=2)]
    sampling: Literal["uniform", "balanced"] = "uniform"
    lr: PositiveFloat
    head_lr: PositiveFloat | None = None
    momentum: Momentum
    weight_decay: NonNegativeFloat
    tau: PositiveFloat

    @model_validator(mode="after")
    def _warmup_ends(self) -> Self:
        if self.warmup_epochs >= self.epochs:
            raise ValueError(f"warmup_epochs {self.warmup_epochs} must be less than epochs {self.epochs}")
        return self


class PrototypeParams(Section):
    """Source prototypes, eq. 2. class_weights: printed (eq. 13), code, balanced (as ``balance`` says), none.

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


class EvaluateParams(Section):
    """bootstrap: resamples of the 95 % interval; tsne_samples: pictures per domain in the t-SNE figure."""

    bootstrap: PositiveInt
    tsne_samples: Annotated[int, Field(ge=10, le=1000)]


class ComputeParams(Section):
    """How stages 1 and 2 compute; what they compute is the same but for rounding.

    precision: of the training passes through f and g: auto is bf16 on GPUs that multiply it, fp32 on every CPU. L2
    norms, losses, prototypes and everything that is predicted or scored stay fp32.
    compile: let torch.compile fuse f and g (worth its minutes in long runs; needs a C++ compiler on the CPU).
    devices: processes that share every batch, one a GPU; on the CPU they share its cores.
    """

    precision: Literal["auto", "fp32", "bf16"]
    compile: bool
    devices: PositiveInt


class ReportParams(Section):
    """pictures: whether reports/index.html holds small copies of the crops, which licensed sets forbid to pass on."""

    pictures: bool = False


class TrackingParams(Section):
    """MLflow: the experiment's name. The server is named by MLFLOW_TRACKING_URI alone."""

    experiment: Name


class Params(Section):
    """The whole of params.yaml."""

    seed: Seed
    device: Literal["auto", "cpu", "cuda"]
    source: Name
    targets: Annotated[tuple[Name, ...], Field(min_length=1)]
    data: DataParams
    standins: StandinParams
    faces: FaceParams
    split: dict[Name, SplitParams]
    model: ModelParams
    augment: AugmentParams
    pretrain: PretrainParams
    prototypes: PrototypeParams
    adapt: SerializeAsAny[AdaptParams]
    evaluate: EvaluateParams
    compute: ComputeParams
    report: ReportParams = ReportParams()
    tracking: TrackingParams

    @model_validator(mode="after")
    def _datasets_are_known(self) -> Self:
        present = (*self.data.sets, *self.data.folder_sets)
        for key, names in (("source", (self.source,)), ("targets", self.targets)):
            for name in names:
                if name not in present:
                    raise ValueError(f"{key}: {_absent(name, present)}")
        for name in self.split:
            if name not in DATASETS and name not in self.data.folder_sets:
                raise ValueError(f"split: {_absent(name, present)}")
        if self.source in self.targets:
            raise ValueError(f"targets: {self.source!r} is the source; a set cannot be both")
        if len(set(self.targets)) < len(self.targets):
            raise ValueError(f"targets: a set is named twice in {list(self.targets)}")
        for name in (self.source, *self.targets):
            if name not in self.split:
                raise ValueError(f"split: no entry for {name!r}; add split.{name} with a protocol")
        return self


def _absent(name: str, present: tuple[str, ...]) -> str:
    """What to say of a set that is not among those that are there."""
    if name in DATASETS:
        return f"data set {name!r} is not in data.sets; add it there"
    return f"unknown data set {unknown(name, present)}. A folder of your own pictures is named in data.folder_sets"
