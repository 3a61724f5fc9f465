"""The sections of params.yaml on data: data, standins, faces and split."""

from collections.abc import Sequence
from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from pipeline.config.section import (
    Fraction,
    Name,
    PositiveFloat,
    PositiveInt,
    Section,
    Seed,
)
from pipeline.datasets import DATASETS
from pipeline.labels import EXPRESSIONS
from pipeline.registry import unknown
from pipeline.standins import DRAWN

FaceRule = Literal["largest", "central", "confident"]
Upscale = Literal["linear", "cubic", "lanczos"]


class DataParams(Section):
    """Where the data sets are.

    Attributes:
        root: folder with one sub-folder per data set, named as in params.yaml.
        sets: the data sets with a reader (``pipeline.datasets.DATASETS``) that are present.
        folder_sets: other sub-folders, which contain plain pictures (see pipeline/datasets/folder.py).
        max_unreadable: maximum share of unreadable pictures; the faces stage fails above it.
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
                    f"sets: {DATASETS.absent(name)}. A folder of your own pictures is named in data.folder_sets"
                )
        for name in self.folder_sets:
            if name in DATASETS:
                raise ValueError(f"folder_sets: {name!r} is a data set with a reader of its own: name it in data.sets")
        return self


class StandinParams(Section):
    """The drawn stand-ins.

    Attributes:
        sets: the data sets to draw.
        seed: seed of all random numbers.
        scale: factor on the number of pictures.
    """

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
    """Detection, selection and cropping of one face per picture.

    Attributes:
        min_face: side of the smallest face to detect, in pixels of the (possibly enlarged) picture.
        scale_factor: ratio of neighbouring pyramid levels; the number of levels grows without limit near 1.
        thresholds: minimum scores of P-Net, R-Net and O-Net.
        search: exact (all pyramid levels) or large_first (finer levels only if the coarse ones show no large face; for
            data with one face per picture it finds the same face several times faster).
        enlarge_to: pictures with a shorter side are enlarged to this side before detection, in pixels (48×48 sets).
        choose: which face is used: largest, central (nearest to the picture's centre) or confident (highest score).
        track: in a sequence, prefer the face that continues the previous one.
        align: box (the detected box, as in the paper; its aspect ratio is not kept), square (the box, extended to a
            square about its centre) or similarity (five landmarks mapped to the standard template).
        margin: margin on each side, as a share of the box's size (similarity: of the crop's side).
        upscale: interpolation for faces smaller than the crop.
        keep_aligned: use pictures that the set's authors have aligned (RAF-DB) whole, without detection.
        turned: if no face is found, search the picture rotated by 90, 180 and 270 degrees.
        batch_size: pictures per detection batch.
    """

    min_face: Annotated[int, Field(ge=12)]
    scale_factor: Annotated[float, Field(gt=0.0, le=0.99)]
    thresholds: tuple[Fraction, Fraction, Fraction]
    search: Literal["exact", "large_first"]
    enlarge_to: PositiveInt
    choose: FaceRule
    track: bool
    align: Literal["box", "square", "similarity"]
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
                f"{wanted} must see every face, but search: large_first skips small ones; set search: exact"
            )
        return self


DEFAULT_FACES = FaceParams(
    min_face=32,
    scale_factor=0.709,
    thresholds=(0.6, 0.7, 0.8),
    search="exact",
    enlarge_to=120,
    choose="largest",
    track=False,
    align="square",
    margin=0.1,
    upscale="cubic",
    keep_aligned=False,
    batch_size=32,
)
"""The default parameters outside of a project."""


def distinct_expressions(names: Sequence[str]) -> tuple[str, ...]:
    """Check names of expressions and return each once, in the order of ``EXPRESSIONS``: the given order is ignored.

    Raises:
        ValueError: a name is not an expression, or occurs twice.
    """
    for name in names:
        if name not in EXPRESSIONS:
            raise ValueError(f"unknown expression {unknown(name, EXPRESSIONS)}")
    if len(set(names)) < len(names):
        raise ValueError(f"an expression is named twice in {[*names]}")
    return tuple(name for name in EXPRESSIONS if name in names)


class SplitParams(Section):
    """How one data set is split (see pipeline/splits/protocols.py), and its known classes.

    Attributes:
        protocol: official (as distributed), all (every picture for both training and test), stratified (by class) or
            subject (no subject in both parts).
        test: number (int) or share (float) of test pictures, for stratified and subject.
        seed: seed of the random draw of test pictures.
        duplicates: keep, or drop: remove training pictures that are (nearly) identical to a test picture and, from the
            source, those that also occur in another set of this project.
        classes: for a target: the expressions that occur, if known (CK+48 has no neutral faces); no other is predicted.
            null: unknown.
    """

    protocol: Literal["official", "all", "stratified", "subject"]
    test: int | float | None = None
    seed: Seed = 0
    duplicates: Literal["keep", "drop"] = "keep"
    classes: Annotated[tuple[str, ...], Field(min_length=2)] | None = None

    @field_validator("classes")
    @classmethod
    def _classes_are_expressions(cls, classes: tuple[str, ...] | None) -> tuple[str, ...] | None:
        return None if classes is None else distinct_expressions(classes)

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
            raise ValueError("protocol all uses every picture for training and test, so duplicates must be keep")
        return self
