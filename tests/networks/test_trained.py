"""A model's folder is enough: opened without params.yaml, it predicts as it did; what cannot be opened is told why."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from pipeline.errors import ParamsError, WeightsError
from pipeline.networks import saved
from pipeline.networks.trained import open_model
from tests.models import ADAPTED, small, write_adapted, write_source
from tests.stores import FACES
from tests.tasks import MODEL, VIEWS

IMAGES = torch.linspace(0, 1, 2 * 3 * 112 * 112).reshape(2, 3, 112, 112)


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def predicted(model: nn.Module) -> torch.Tensor:
    with torch.no_grad():
        found: torch.Tensor = model(IMAGES)
    return found


def test_an_adapted_model_says_all_that_using_it_needs(tmp_path: Path) -> None:
    model = write_adapted(tmp_path / "m")
    found = open_model(tmp_path / "m")
    assert torch.equal(predicted(found.model), predicted(model))
    assert not found.model.training
    assert (found.params, found.augment, found.adapted) == (MODEL, VIEWS, True)
    assert found.faces == FACES.model_copy(update={"margin": 0.25})  # the target's, not the source's
    assert found.description["adapt"] == ADAPTED["adapt"]


def test_a_norm_of_the_projections_is_kept_to_the_bit(tmp_path: Path) -> None:
    params = MODEL.model_copy(update={"projection_norm": "batch"})
    model = small(params=params).train()
    model(IMAGES)  # its statistics are no longer the first ones
    saved.save(tmp_path / "m", dict(model.named_children()), {**ADAPTED, "model": params.model_dump()})
    found = open_model(tmp_path / "m")
    assert found.params == params
    assert torch.equal(predicted(found.model), predicted(model.eval()))


def test_a_model_of_before_there_was_such_a_norm_has_none(tmp_path: Path) -> None:
    model = write_adapted(tmp_path / "m", model=MODEL.model_dump(exclude={"projection_norm"}))
    found = open_model(tmp_path / "m")
    assert found.params.projection_norm == "none"
    assert torch.equal(predicted(found.model), predicted(model))


def test_what_a_method_saves_beside_its_model_does_not_disturb(tmp_path: Path) -> None:
    model = small(3)
    saved.save(tmp_path / "m", {**dict(model.named_children()), "discriminator": nn.Linear(2, 2)}, ADAPTED)
    assert torch.equal(predicted(open_model(tmp_path / "m").model), predicted(model))


def test_the_source_model_is_the_prototypes_and_what_is_beside_them(tmp_path: Path) -> None:
    model = write_source(tmp_path / "models")
    found = open_model(Path("models/prototypes"))
    assert torch.equal(predicted(found.model), predicted(model))
    assert (found.faces, found.adapted) == (FACES, False)


def test_a_source_model_in_one_folder_needs_nothing_beside_it(tmp_path: Path) -> None:
    model = write_source(tmp_path / "models")
    made = saved.describe(tmp_path / "models/prototypes")
    saved.save(tmp_path / "whole", dict(model.named_children()), made)
    assert torch.equal(predicted(open_model(tmp_path / "whole").model), predicted(model))


def test_prototypes_of_another_encoder_are_refused(tmp_path: Path) -> None:
    write_source(tmp_path / "models")
    saved.save(tmp_path / "models/pretrained", {"network": small(5).network}, {"stage": "pretrain"})
    with pytest.raises(WeightsError, match=r"prototypes: trained with another model .*; run dvc repro prototypes"):
        open_model(tmp_path / "models/prototypes")


def test_what_predicts_nothing_is_refused(tmp_path: Path) -> None:
    write_source(tmp_path / "models")
    with pytest.raises(WeightsError, match=r"cannot predict; use .*prototypes"):
        open_model(tmp_path / "models/pretrained")


def test_no_model_is_told(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"nowhere/model\.json: no such file"):
        open_model(tmp_path / "nowhere")
    write_adapted(tmp_path / "m")
    (tmp_path / "m/model.safetensors").unlink()
    with pytest.raises(WeightsError, match=r"model\.safetensors: no such file"):
        open_model(tmp_path / "m")


@pytest.mark.parametrize("value", [None, saved.FORMAT + 1])
def test_a_model_of_another_version_is_told(value: int | None, tmp_path: Path) -> None:
    write_adapted(tmp_path)
    change(tmp_path, format=value)
    with pytest.raises(WeightsError, match=f"its format is {value}, this version reads {saved.FORMAT}"):
        open_model(tmp_path)


def test_a_description_that_lacks_something_is_told(tmp_path: Path) -> None:
    write_adapted(tmp_path)
    change(tmp_path, target={}, augment=ADAPTED["augment"] | {"eval_crop": 2.0})
    with pytest.raises(WeightsError, match=r"eval_crop: Input should be less than or equal to 1"):
        open_model(tmp_path)
    change(tmp_path, target={"name": "x"}, augment=ADAPTED["augment"])
    with pytest.raises(WeightsError, match="'faces' is missing"):
        open_model(tmp_path)
    wrong: list[dict[str, Any]] = [{"source": {"faces": {}}}, {"labels": []}, {"adapt": []}, {"prototypes": []}]
    for lacking in wrong:
        change(tmp_path, target=ADAPTED["target"], **lacking)
        with pytest.raises(WeightsError, match="not as this version of the project writes it"):
            open_model(tmp_path)
        write_adapted(tmp_path)
    change(tmp_path, target=ADAPTED["target"], model={**ADAPTED["model"], "projection_dim": "wide"})
    with pytest.raises(WeightsError, match="projection_dim: Input should be a valid integer"):
        open_model(tmp_path)


def test_a_folder_whose_name_is_not_utf8_is_told_as_such(tmp_path: Path) -> None:
    write_adapted(tmp_path / "m")
    (tmp_path / "m").rename(tmp_path / "m\udce9")
    with pytest.raises(
        WeightsError, match="not UTF-8, or the locale is not, so a model cannot be read there; rename the folder"
    ):
        open_model(tmp_path / "m\udce9")


def test_a_method_that_is_not_there_is_named(tmp_path: Path) -> None:
    write_adapted(tmp_path, adapt={"method": "os:system"})
    with pytest.raises(ParamsError, match="unknown method 'os:system'"):
        open_model(tmp_path)


def change(folder: Path, **values: object) -> None:
    path = folder / "model.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | values))
