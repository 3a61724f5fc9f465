"""What MLflow loads to serve a model: pictures of a request in, an answer for each of them out.

MLflow's pyfunc flavour names this module (``pipeline.tracking.flavour``) and calls ``_load_pyfunc``.
"""

import base64
import contextlib
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from pipeline.compute.device import pick
from pipeline.datasets.parts.pictures import decode
from pipeline.errors import UnreadableImageError
from pipeline.labels import DRAWN_MARK
from pipeline.networks import trained
from pipeline.prediction.inputs import Frame
from pipeline.prediction.predict import predict_frames
from pipeline.prediction.predictor import Predictor

DATA_URL = "data:"
"""How base64 begins where a browser has made it; this part ends with a comma."""

EXPECTED = 'send the bytes of a picture\'s file in base64, as {"inputs": ["iVBORw0K…"]}'
"""The end of an error message."""


class ServedModel:
    """Answers requests, from any number of threads: one at a time, so that memory does not grow with their number."""

    def __init__(self, predictor: Predictor) -> None:
        self._predictor = predictor
        self._lock = threading.Lock()

    def predict(self, model_input: pd.DataFrame) -> list[dict[str, Any]]:
        """Answer one request.

        Args:
            model_input: a picture a row, in the first column: the bytes of its file, or these in base64, also as a data
                URL. The name of this argument is MLflow's.

        Returns:
            For each picture ``faces``, all faces by falling score of the detector, as ``Prediction.as_json`` gives them
            (boxes in pixels of the upright picture), with ``mark``: None, or that of a model that has learned from
            drawn faces; ``error``: None, or why the picture could not be read; and which model answers: ``model``, its
            name, and ``digest``, the first digits of its weights' SHA-256. A picture without a face has [] and None.
        """
        mark = {"mark": DRAWN_MARK if self._predictor.drawn else None}
        pictures = model_input.iloc[:, 0].tolist()
        names = [f"picture {number}" for number in range(1, len(pictures) + 1)]
        answers: dict[str, dict[str, Any]] = {name: {"faces": [], "error": None} for name in names}
        with (
            self._lock,
            contextlib.closing(predict_frames(_frames(names, pictures, answers), self._predictor)) as stream,
        ):
            for frame, faces in stream:
                answers[frame.source.name]["faces"] = [found.as_json() | mark for found in faces]
        model = {"model": self._predictor.name, "digest": self._predictor.short_digest}
        return [answer | model for answer in answers.values()]


def _load_pyfunc(path: str, model_config: Mapping[str, Any]) -> ServedModel:
    """Load a model; MLflow calls this by its name.

    Args:
        path: a folder with the files of the project's own form.
        model_config: "device", and in "faces" other values of these parameters of the model, as ["min_face=60"].

    Raises:
        WeightsError: the model is damaged or of another version.
        ParamsError: a change in ``faces`` is refused.
    """
    return ServedModel(Predictor(trained.open_model(Path(path)), pick(model_config["device"]), model_config["faces"]))


def _frames(names: Sequence[str], pictures: Sequence[Any], answers: dict[str, dict[str, Any]]) -> Iterator[Frame]:
    """The pictures that can be read; why the others cannot is put into ``answers``."""
    for name, picture in zip(names, pictures, strict=True):
        try:
            yield Frame.of_picture(name, decode(_content(picture, name), name))
        except UnreadableImageError as error:
            answers[name]["error"] = str(error)


def _content(picture: Any, name: str) -> bytes:
    """The bytes of a picture's file, as a request has it.

    Raises:
        UnreadableImageError: ``picture`` is neither bytes nor base64.
    """
    if isinstance(picture, bytes | bytearray):
        return bytes(picture)
    if not isinstance(picture, str):
        raise UnreadableImageError(f"{name}: {type(picture).__name__}, neither bytes nor base64; {EXPECTED}")
    text = picture.partition(",")[2] if picture.startswith(DATA_URL) else picture
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except ValueError as error:
        raise UnreadableImageError(f"{name}: not base64 ({error}); {EXPECTED}") from None
