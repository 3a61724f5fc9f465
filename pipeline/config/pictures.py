"""The sections of params.yaml on pictures: which sets, how stand-ins are drawn, faces found and sets divided."""

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
                    f"sets: {DATASETS.absent(name)}. A folder of your own pictures is named in data.folder_sets"
                )
        for name in self.folder_sets:
            if name in DATASETS:
                raise ValueError(f"folder_sets: {name!r} is a data set with a reader of its own: name it in data.sets")
        return self


class StandinParams(Section):
    """The drawn stand-ins.

    Attributes:
        sets: which sets are drawn.
        seed: of all random numbers.
        scale: a factor on the number of pictures.
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
    """Detection, choice and cropping of one face a picture.

    Attributes:
        min_face: smallest face that is looked for, in pixels of the (possibly enlarged) picture.
        scale_factor: ratio of neighbouring pyramid levels; near 1 their number has no end.
        thresholds: scores of P-Net, R-Net and O-Net from which a candidate is kept.
        search: exact (every level of the pyramid) or large_first (finer levels only where the coarse ones show no large
            face; for sets with one face a picture it finds the same face several times faster).
        enlarge_to: pictures with a shorter side below this are enlarged to it before detection (48×48 sets), in pixels.
        choose: which face is taken: largest, central (nearest to the picture's centre) or confident (highest score).
        track: in a sequence, take the face that continues the one taken before, where there is one.
        align: box (the detected box, as the paper has it, whose aspect ratio is not kept), square (the box, lengthened
            to a square about its centre) or similarity (five landmarks onto the standard template).
        margin: widening on each side, as a share of the box's size (similarity: of the crop's side).
        upscale: how a face smaller than the crop is enlarged.
        keep_aligned: take pictures that the set's own authors have aligned (RAF-DB's) whole, without detection.
        turned: where no face is seen, look again at the picture turned by 90, 180 and 270 degrees.
        batch_size: pictures detected at a time.
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
                f"{wanted} must see every face, but search: large_first passes over small ones; set search: exact"
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
"""How faces are found and cropped where nothing else is asked for."""


def distinct_expressions(names: Sequence[str]) -> tuple[str, ...]:
    """Names of expressions, each once, in the order of ``EXPRESSIONS``: no result depends on the order that was given.

    Raises:
        ValueError: one is no expression, or is named twice.
    """
    for name in names:
        if name not in EXPRESSIONS:
            raise ValueError(f"unknown expression {unknown(name, EXPRESSIONS)}")
    if len(set(names)) < len(names):
        raise ValueError(f"an expression is named twice in {[*names]}")
    return tuple(name for name in EXPRESSIONS if name in names)


class SplitParams(Section):
    """How one data set is divided (see pipeline/splits/protocols.py), and what is known of it.

    Attributes:
        protocol: official (as distributed), all (every picture for adaptation and for the test), stratified (by class)
            or subject (no subject in both parts).
        test: number (int) or share (float) of test pictures, for the last two protocols.
        seed: of the draw of test pictures.
        duplicates: keep, or drop from the training part what is, or nearly is, a test picture; from the source's also
            what is in another set of this project.
        classes: of a target, the expressions that occur in it where this is known (CK+48 has no neutral face); no other
            is predicted. null: nothing is known.
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
            raise ValueError("protocol all tests the pictures it trains on: duplicates: drop has nothing to keep apart")
        return self
