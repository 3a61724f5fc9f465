"""The typed schema of params.yaml: the only way in which a run's configuration enters the code.

``load`` refuses unknown keys, wrong types and values out of range by name, before any work starts. The models are
frozen: a stage hands its section down as a function argument and nothing changes on the way.
"""

import difflib
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from pipeline.errors import ParamsError

DATASETS = ("rafdb", "ckplus", "ckplus48", "jaffe", "oulu", "fer2013", "sfew")
"""The data sets with a reader of their own; their folder below ``data.root`` has the same name."""

Fraction = Annotated[float, Field(ge=0.0, le=1.0)]
PositiveInt = Annotated[int, Field(gt=0)]
PositiveFloat = Annotated[float, Field(gt=0.0)]
NonNegativeFloat = Annotated[float, Field(ge=0.0)]
Momentum = Annotated[float, Field(ge=0.0, lt=1.0)]
ClassWeights = Literal["printed", "code", "none"]
FaceRule = Literal["largest", "central", "confident"]
Upscale = Literal["linear", "cubic", "lanczos"]


class Section(BaseModel):
    """A section of params.yaml: every key must be known, every value of its type, nothing changes later."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class DataParams(Section):
    """Where the data sets are.

    root: folder with one sub-folder per data set, named as in ``DATASETS``.
    folder_sets: names of further sub-folders: plain folders of pictures (see pipeline/datasets/folder.py).
    max_unreadable: share of a set's pictures that may be unreadable before the faces stage fails.
    """

    root: str
    folder_sets: tuple[str, ...] = ()
    max_unreadable: Fraction


class StandinParams(Section):
    """The drawn stand-ins: which sets, from which seed, and ``scale``, a factor on the number of pictures."""

    sets: tuple[Literal["rafdb", "ckplus", "jaffe", "oulu", "fer2013", "sfew"], ...]
    seed: Annotated[int, Field(ge=0)]
    scale: PositiveFloat


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
    aligned (RAF-DB's) whole, without detection. batch_size: pictures detected at a time.
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
    """How one data set is divided (see pipeline/splits.py).

    protocol: official (as distributed), all (every picture for adaptation and for the test), stratified (by class)
    or subject (no subject in both parts). test: number (int) or share (float) of test pictures, for the last two.
    """

    protocol: Literal["official", "all", "stratified", "subject"]
    test: int | float | None = None
    seed: Annotated[int, Field(ge=0)] = 0

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
        return self


class ModelParams(Section):
    """Encoder and projection head (docs/method.md)."""

    backbone: Literal["resnet10", "resnet18", "resnet34", "resnet50"]
    weights: Literal["none", "imagenet", "vggface2"]
    weights_file: str | None = None
    projection_hidden: PositiveInt
    projection_dim: PositiveInt

    @model_validator(mode="after")
    def _weights_fit_backbone(self) -> Self:
        if self.weights == "vggface2" and self.backbone != "resnet50":
            raise ValueError("weights vggface2 are a ResNet-50: set backbone: resnet50")
        if self.weights == "vggface2" and not self.weights_file:
            raise ValueError("weights vggface2 need weights_file: the path of your copy (see README)")
        if self.weights == "imagenet" and self.backbone == "resnet10":
            raise ValueError("there are no imagenet weights for resnet10: choose resnet18, 34 or 50")
        if self.weights != "vggface2" and self.weights_file:
            raise ValueError("weights_file goes with weights: vggface2")
        return self


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
    """Stage 1, eq. 4. tau: the temperature τ' of the supervised contrastive loss.

    warmup_epochs: epochs in which the learning rate rises from 0 before its cosine decay begins; the paper, which
    starts from a pre-trained encoder, has none. Without one, an encoder that starts from nothing tends to collapse.
    """

    epochs: PositiveInt
    warmup_epochs: Annotated[int, Field(ge=0)]
    batch_size: Annotated[int, Field(ge=2)]
    lr: PositiveFloat
    momentum: Momentum
    weight_decay: NonNegativeFloat
    tau: PositiveFloat

    @model_validator(mode="after")
    def _warmup_ends(self) -> Self:
        if self.warmup_epochs >= self.epochs:
            raise ValueError(f"warmup_epochs {self.warmup_epochs} must be less than epochs {self.epochs}")
        return self


class PrototypeParams(Section):
    """Source prototypes, eq. 2."""

    epochs: PositiveInt
    batch_size: PositiveInt
    lr: PositiveFloat
    momentum: Momentum
    class_weights: ClassWeights


class AdaptParams(Section):
    """Stage 2, eqs. 5-16.

    tau: temperature of NT-Xent on the target; tau_source: τ' of the supervised contrastive loss on the source.
    steps_per_epoch: null is the released code's rule, until the longest of source, trusted and untrusted is seen.
    beta: the exponent of the adaptive threshold (eq. 14). lambda_on_prototypes: multiply L_tp by λ_t too (code).
    use_l_in, use_l_cross, use_l_ad, class_weights: the paper's four ablations (its Table 3).
    prototype_projections: which projections eq. 16 uses: evaluation (of the updated f and g, by a second pass in
    evaluation mode; code) or training (those of the step's own pass, which saves a quarter of the step).
    domain_passes: separate (batch norm sees one domain at a time; code) or joint (one pass with both domains).
    """

    method: Literal["pocan", "dt"]
    epochs: PositiveInt
    steps_per_epoch: PositiveInt | None
    batch_size: Annotated[int, Field(ge=2)]
    lr: PositiveFloat
    prototype_lr: PositiveFloat
    prototype_lr_drop_epoch: PositiveInt
    momentum: Momentum
    weight_decay: NonNegativeFloat
    tau: PositiveFloat
    tau_source: PositiveFloat
    beta: NonNegativeFloat
    class_weights: ClassWeights
    lambda_on_prototypes: bool
    use_l_in: bool
    use_l_cross: bool
    use_l_ad: bool
    prototype_projections: Literal["evaluation", "training"]
    domain_passes: Literal["separate", "joint"]

    @model_validator(mode="after")
    def _something_to_minimise(self) -> Self:
        if not (self.use_l_in or self.use_l_cross or self.use_l_ad):
            raise ValueError("use_l_in, use_l_cross and use_l_ad are all false: nothing is left to minimise")
        return self


class EvaluateParams(Section):
    """bootstrap: resamples of the 95 % interval; tsne_samples: pictures per domain in the t-SNE figure."""

    bootstrap: PositiveInt
    tsne_samples: Annotated[int, Field(ge=10)]


class ComputeParams(Section):
    """How stages 1 and 2 compute; what they compute is the same but for rounding.

    precision: of the training passes through f and g: auto is bf16 where the hardware multiplies it, else fp32. L2
    norms, losses, prototypes and everything that is predicted or scored stay fp32.
    compile: let torch.compile fuse f and g (worth its minutes in long runs; needs a C++ compiler on the CPU).
    devices: processes that share every batch, one a GPU; on the CPU they share its cores.
    """

    precision: Literal["auto", "fp32", "bf16"]
    compile: bool
    devices: PositiveInt


class TrackingParams(Section):
    """MLflow: the experiment's name. The server is named by MLFLOW_TRACKING_URI alone."""

    experiment: str


class Params(Section):
    """The whole of params.yaml."""

    seed: Annotated[int, Field(ge=0)]
    device: Literal["auto", "cpu", "cuda"]
    source: str
    targets: Annotated[tuple[str, ...], Field(min_length=1)]
    data: DataParams
    standins: StandinParams
    faces: FaceParams
    split: dict[str, SplitParams]
    model: ModelParams
    augment: AugmentParams
    pretrain: PretrainParams
    prototypes: PrototypeParams
    adapt: AdaptParams
    evaluate: EvaluateParams
    compute: ComputeParams
    tracking: TrackingParams

    @model_validator(mode="after")
    def _datasets_are_known(self) -> Self:
        known = (*DATASETS, *self.data.folder_sets)
        for key, names in (("source", (self.source,)), ("targets", self.targets), ("split", tuple(self.split))):
            for name in names:
                if name not in known:
                    raise ValueError(
                        f"{key}: unknown data set {name!r}{_suggestion(name, known)}; known: {', '.join(known)}. "
                        f"A folder of your own pictures is named in data.folder_sets"
                    )
        if self.source in self.targets:
            raise ValueError(f"targets: {self.source!r} is the source; a set cannot be both")
        if len(set(self.targets)) < len(self.targets):
            raise ValueError(f"targets: a set is named twice in {list(self.targets)}")
        for name in (self.source, *self.targets):
            if name not in self.split:
                raise ValueError(f"split: no entry for {name!r}; add split.{name} with a protocol")
        return self


def load(path: Path = Path("params.yaml"), changes: Sequence[str] = ()) -> Params:
    """Read and check a parameter file. ``changes``: other values for some keys, written as ``faces.margin=0.1``.

    Raises:
        ParamsError: the file is missing, is no YAML mapping, or a key or value is refused; every fault is named.
    """
    raw = read(path)
    for change in changes:
        _change(raw, change)
    return parse(raw, str(path))


def read(path: Path) -> dict[str, Any]:
    """The unchecked content of a parameter file, with numbers as DVC reads them.

    Raises:
        ParamsError: the file is missing or is no YAML mapping.
    """
    try:
        raw = yaml.load(path.read_text(encoding="utf-8"), _Yaml12Loader)
    except FileNotFoundError:
        raise ParamsError(f"{path}: no such file; run from the project's root") from None
    except yaml.YAMLError as error:
        raise ParamsError(f"{path}: not valid YAML: {error}") from error
    if not isinstance(raw, dict):
        raise ParamsError(f"{path}: expected a mapping of sections, found {type(raw).__name__}")
    return raw


def parse(raw: dict[str, Any], name: str) -> Params:
    """Check a parameter mapping; ``name`` is what errors call it.

    Raises:
        ParamsError: a key or value is refused; every fault is named.
    """
    try:
        return Params.model_validate(_lists_to_tuples(raw))
    except ValidationError as error:
        faults = "\n".join(f"  {_describe(fault)}" for fault in error.errors())
        raise ParamsError(f"{name}:\n{faults}") from None


def _change(raw: dict[str, Any], change: str) -> None:
    """Put the value of ``change`` ("faces.margin=0.1") into a parameter mapping."""
    key, equals, value = change.partition("=")
    *sections, last = key.split(".")
    place: Any = raw
    for section in sections:
        place = place.get(section) if isinstance(place, dict) else None
    try:
        if not equals or not isinstance(place, dict):
            raise ParamsError(f"{change}: not of the form section.key=value, with a section of the parameter file")
        place[last] = yaml.load(value, _Yaml12Loader)
    except yaml.YAMLError as error:
        raise ParamsError(f"{change}: the value is not valid YAML: {error}") from error


class _Yaml12Loader(yaml.SafeLoader):
    """Reads ``1e-5`` as a number, as YAML 1.2 and DVC do; PyYAML's YAML 1.1 reads it as a string."""


_Yaml12Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?(\d+(\.\d*)?|\.\d+)[eE][-+]?\d+$"), list("-+.0123456789")
)


def _lists_to_tuples(value: Any) -> Any:
    """YAML has lists; the frozen models hold tuples, which strict validation does not make from lists."""
    if isinstance(value, dict):
        return {key: _lists_to_tuples(item) for key, item in value.items()}
    if isinstance(value, list):
        return tuple(_lists_to_tuples(item) for item in value)
    return value


def _describe(fault: Any) -> str:
    key = ".".join(str(part) for part in fault["loc"])
    if fault["type"] == "extra_forbidden":
        hint = _suggestion(str(fault["loc"][-1]), _known_keys(fault["loc"][:-1]))
        return f"{key}: unknown key{hint}; remove or correct it"
    if fault["type"] == "missing":
        return f"{key}: missing; add it (params/paper.yaml is a complete example)"
    if fault["type"] == "value_error":
        message = str(fault["ctx"]["error"])
        return f"{key}: {message}" if key else message
    return f"{key}: {fault['msg'][0].lower()}{fault['msg'][1:]}, found {fault['input']!r}"


def _known_keys(location: tuple[Any, ...]) -> tuple[str, ...]:
    model: type[BaseModel] = Params
    for part in location:
        field = model.model_fields.get(str(part))
        if field is None or not (isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)):
            return tuple(SplitParams.model_fields)
        model = field.annotation
    return tuple(model.model_fields)


def _suggestion(word: str, known: tuple[str, ...]) -> str:
    close = difflib.get_close_matches(word, known, n=1)
    return f" (did you mean {close[0]!r}?)" if close else ""
