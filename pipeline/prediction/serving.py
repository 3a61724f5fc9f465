"""The loader module of served models: MLflow's pyfunc flavour calls ``_load_pyfunc`` here.

``pipeline.tracking.flavour`` registers it.
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
"""Prefix of base64 data URLs, as browsers create them; the header ends with a comma."""

EXPECTED = 'send the bytes of a picture\'s file in base64, as {"inputs": ["iVBORw0K…"]}'
"""The end of error messages."""


class ServedModel:
    """Answers requests of any number of threads one at a time, so that memory does not grow with their number."""

    def __init__(self, predictor: Predictor) -> None:
        self._predictor = predictor
        self._lock = threading.Lock()

    def predict(self, model_input: pd.DataFrame) -> list[dict[str, Any]]:
        """Answer one request.

        Args:
            model_input: one picture per row, in the first column: the bytes of its file, or base64 of these, also as a
                data URL. MLflow prescribes the name of this argument.

        Returns:
            For each picture a mapping. ``faces``: all faces by descending score of the detector, as
            ``Prediction.as_json`` returns them (boxes in pixels of the upright picture), with ``mark``: the mark of a
            model trained on drawn faces, else None. ``error``: why the picture could not be read, else None. ``model``
            and ``digest``: name of the model and the first digits of its weights' SHA-256.
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
    """Load a model; MLflow calls this function by name.

    Args:
        path: a model folder of this project.
        model_config: "device", and "faces": changes to the model's section ``faces``, such as ["min_face=60"].

    Raises:
        WeightsError: the model is damaged or of another version.
        ParamsError: a change in ``faces`` is invalid.
    """
    return ServedModel(Predictor(trained.open_model(Path(path)), pick(model_config["device"]), model_config["faces"]))


def _frames(names: Sequence[str], pictures: Sequence[Any], answers: dict[str, dict[str, Any]]) -> Iterator[Frame]:
    """Yield the readable pictures; write the errors of the others into ``answers``."""
    for name, picture in zip(names, pictures, strict=True):
        try:
            yield Frame.of_picture(name, decode(_content(picture, name), name))
        except UnreadableImageError as error:
            answers[name]["error"] = str(error)


def _content(picture: Any, name: str) -> bytes:
    """Return the bytes of a picture's file from a request.

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
