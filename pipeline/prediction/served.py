"""Pictures as requests bring them, each with an answer of its own: what MLflow opens of a model to serve it.

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
from pipeline.networks import trained
from pipeline.prediction.inputs import Frame, Source
from pipeline.prediction.predict import predicted
from pipeline.prediction.predictor import Predictor
from pipeline.prediction.rows import as_json

DATA_URL = "data:"
"""How base64 begins where a browser has made it; a comma ends this part."""

FORM = 'send the bytes of a picture\'s file in base64, as {"inputs": ["iVBORw0K…"]}'
"""For those who sent something else."""


class Served:
    """Answers requests, from however many threads: one at a time, so that memory does not grow with their number."""

    def __init__(self, predictor: Predictor) -> None:
        self._predictor = predictor
        self._turn = threading.Lock()

    def predict(self, model_input: pd.DataFrame) -> list[dict[str, Any]]:
        """An answer for each picture in the first column: a file's bytes, or these in base64, also as a data URL.

        Of an answer ``faces`` are all faces, the best detected first, as ``rows.as_json`` says (boxes in pixels of the
        upright picture), and ``error`` is None, or why the picture could not be read. Without a face: [] and None.
        """
        pictures = model_input.iloc[:, 0].tolist()
        names = [f"picture {number}" for number in range(1, len(pictures) + 1)]
        answers = {name: _answer([], None) for name in names}
        with self._turn, contextlib.closing(predicted(_frames(names, pictures, answers), self._predictor)) as stream:
            for frame, faces in stream:
                answers[frame.source.name] = _answer([as_json(found) for found in faces], None)
        return list(answers.values())


def _load_pyfunc(path: str, model_config: Mapping[str, Any]) -> Served:
    """MLflow's door: the model of the project's own form in the folder ``path``.

    model_config: "device", and other parameters of the model's "faces", as ["min_face=60"].

    Raises:
        WeightsError: the model is damaged or of another version. ParamsError: a change in ``faces`` is refused.
    """
    return Served(Predictor(trained.open_model(Path(path)), pick(model_config["device"]), model_config["faces"]))


def _answer(faces: list[dict[str, Any]], error: str | None) -> dict[str, Any]:
    return {"faces": faces, "error": error}


def _frames(names: Sequence[str], pictures: Sequence[Any], answers: dict[str, dict[str, Any]]) -> Iterator[Frame]:
    """The pictures that can be read; of the others the reason goes to ``answers``."""
    for name, picture in zip(names, pictures, strict=True):
        try:
            yield Frame(Source(name, Path(name)), 0, decode(_content(picture, name), name))
        except UnreadableImageError as error:
            answers[name] = _answer([], str(error))


def _content(picture: Any, name: str) -> bytes:
    """The bytes of a picture's file.

    Raises:
        UnreadableImageError: ``picture`` is neither bytes nor base64.
    """
    if isinstance(picture, bytes | bytearray):
        return bytes(picture)
    if not isinstance(picture, str):
        raise UnreadableImageError(f"{name}: {type(picture).__name__}, neither bytes nor base64; {FORM}")
    text = picture.partition(",")[2] if picture.startswith(DATA_URL) else picture
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except ValueError as error:
        raise UnreadableImageError(f"{name}: not base64 ({error}); {FORM}") from None
