"""Pictures of a request: each has its answer, whatever the others are and however many ask at once."""

import base64
import importlib
import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from pipeline.errors import ParamsError, WeightsError
from pipeline.faces.crop import Image
from pipeline.networks.trained import open_model
from pipeline.prediction.predictor import Prediction, Predictor
from pipeline.prediction.serving import ServedModel, _load_pyfunc
from tests.faces.scenes import noise, photograph, two_faces
from tests.models import write_adapted, write_source
from tests.prediction.encoded import in_base64, png

CONFIG: dict[str, Any] = {"device": "cpu", "faces": []}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("served") / "model"
    write_adapted(folder)
    return folder


@pytest.fixture(scope="module")
def served(folder: Path) -> ServedModel:
    return _load_pyfunc(str(folder), CONFIG)


def ask(served: ServedModel, *pictures: object) -> list[dict[str, Any]]:
    return served.predict(pd.DataFrame({"picture": list(pictures)}))


def test_bytes_and_base64_are_the_same_picture(served: ServedModel) -> None:
    content = png(two_faces())
    wrapped = base64.encodebytes(content).decode()  # with line breaks, as the command base64 writes
    answers = ask(served, content, in_base64(content), wrapped, f"data:image/png;base64,{in_base64(content)}")
    assert answers == [answers[0]] * 4
    assert answers[0]["error"] is None
    first, second = answers[0]["faces"]
    assert first["score"] >= second["score"] > 0.8
    assert sum(first["probabilities"].values()) == pytest.approx(1.0, abs=5e-4)
    assert first["confidence"] == first["probabilities"][first["expression"]] == max(first["probabilities"].values())


@pytest.mark.parametrize(
    ("picture", "reason"),
    [
        (b"", "picture 2: the file is empty"),
        ("", "picture 2: the file is empty"),
        (b"no picture", "picture 2: not a picture in a known format"),
        (png(noise(40, 40))[:2000], "picture 2: image file is truncated"),
        ("album/one.png", "picture 2: not base64 ("),
        ("abc", "picture 2: not base64 ("),
        ("größer", "picture 2: not base64 ("),
        (None, "picture 2: NoneType, neither bytes nor base64; send"),
        (7, "picture 2: int, neither bytes nor base64; send"),
    ],
)
def test_a_picture_that_cannot_be_read_is_told_and_the_others_are_answered(
    served: ServedModel, picture: object, reason: str
) -> None:
    good, bad, faceless = ask(served, png(photograph()), picture, png(noise(64, 64)))
    assert (len(good["faces"]), good["error"]) == (1, None)
    assert bad["faces"] == []
    assert bad["error"].startswith(reason)
    assert (faceless["faces"], faceless["error"]) == ([], None)


def test_every_answer_names_the_model(served: ServedModel, folder: Path) -> None:
    answers = ask(served, png(photograph()), png(noise(64, 64)), b"broken")
    made = json.loads((folder / "model.json").read_text())["weights_sha256"]
    told = ("rafdb → jaffe, pocan", made[:12])
    assert [(answer["model"], answer["digest"]) for answer in answers] == [told] * 3


def test_the_name_says_whether_a_model_is_a_source_model_or_imported(tmp_path: Path) -> None:
    write_source(tmp_path)
    assert open_model(tmp_path / "prototypes").name == "rafdb, source model"
    write_source(tmp_path / "other", imported={})
    assert open_model(tmp_path / "other/prototypes").name == "rafdb, imported"


def test_requests_take_turns_and_get_their_own_answers(served: ServedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    inside: list[int] = []
    most = 0
    predict = Predictor.predict

    def watched(self: Predictor, images: list[Image]) -> list[list[Prediction]]:
        nonlocal most
        inside.append(threading.get_ident())
        time.sleep(0.02)  # long enough for another to come in, were it let
        most = max(most, len(inside))
        found = predict(self, images)
        inside.pop()
        return found

    monkeypatch.setattr(Predictor, "predict", watched)
    kinds = [png(photograph()), png(two_faces()), png(noise(64, 64)), b"broken"]
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda number: ask(served, kinds[number % 4])[0], range(16)))
    assert most == 1
    assert [len(answer["faces"]) for answer in answers] == [1, 2, 0, 0] * 4
    assert [answer["error"] is None for answer in answers] == [True, True, True, False] * 4


def test_a_failure_lets_the_next_request_in(served: ServedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise MemoryError

    with monkeypatch.context() as patched:
        patched.setattr(Predictor, "predict", fail)
        with pytest.raises(MemoryError):
            ask(served, png(photograph()))
    assert len(ask(served, png(photograph()))[0]["faces"]) == 1


def test_the_model_is_opened_with_other_parameters_of_its_faces(folder: Path) -> None:
    large_only = _load_pyfunc(str(folder), {**CONFIG, "faces": ["min_face=150"]})
    (answer,) = ask(large_only, png(two_faces()))
    assert len(answer["faces"]) == 1
    assert np.diff(answer["faces"][0]["box"][::2]) > 80
    with pytest.raises(ParamsError, match=r"faces\.min_fase: unknown key"):
        _load_pyfunc(str(folder), {**CONFIG, "faces": ["min_fase=60"]})
    with pytest.raises(ParamsError, match="device: 'gpu' is unknown"):
        _load_pyfunc(str(folder), {**CONFIG, "device": "gpu"})


def test_models_in_stores_find_their_loader_by_its_old_name() -> None:
    assert importlib.import_module("pipeline.prediction.served")._load_pyfunc is _load_pyfunc


def test_a_damaged_model_is_refused(tmp_path: Path) -> None:
    write_adapted(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"damaged")
    with pytest.raises(WeightsError, match=r"the file is damaged .*; take it from DVC.s cache \(dvc checkout --force"):
        _load_pyfunc(str(tmp_path), CONFIG)
