"""A toy data set, backbone and method, registered from outside of the package, through every stage to the tables."""

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pytest
import torch
import yaml
from PIL import Image

from pipeline.backbones import BACKBONES, Backbone
from pipeline.config import load as params
from pipeline.config.methods import METHODS
from pipeline.datasets import DATASETS
from pipeline.errors import ParamsError
from pipeline.registry import Registry
from stages import adapt, evaluate, faces, features, pretrain, prototypes, report, split
from tests.stages.plugins import SQUARES, DriftParams, Toy

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def registered() -> Iterator[None]:
    """The three plug-ins, and afterwards the registries as they were."""
    registries: list[Registry[Any]] = [DATASETS, BACKBONES, METHODS]
    plugins: list[Any] = [Toy, SQUARES, DriftParams]
    for registry, plugin in zip(registries, plugins, strict=True):
        registry.add(plugin)
    yield
    for registry, plugin in zip(registries, plugins, strict=True):
        registry.remove(plugin.name)


def draw(folder: Path, seed: int, count: int = 42) -> None:
    """Pictures of seven shades of grey."""
    folder.mkdir(parents=True)
    generator = np.random.Generator(np.random.PCG64(seed))
    for index in range(count):
        shade = 30 * (index % 7) + generator.integers(0, 30, (40, 40, 3))
        Image.fromarray(shade.astype(np.uint8)).save(folder / f"{index % 7}_{index}.png")


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A project whose target, backbone and method are the plug-ins."""
    draw(tmp_path / "sets/toy", 1)
    draw(tmp_path / "sets/jaffe_like", 2)
    values = params.read(ROOT / "params.yaml")
    values |= {"source": "jaffe_like", "targets": ["toy"]}
    values["data"] |= {"root": "sets", "sets": ["toy"], "folder_sets": ["jaffe_like"]}
    values["standins"]["sets"] = []
    values["split"] = {name: {"protocol": "stratified", "test": 0.34} for name in ("toy", "jaffe_like")}
    values["model"] |= {"backbone": "squares", "projection_hidden": 16, "projection_dim": 8}
    values["pretrain"] |= {"epochs": 2, "warmup_epochs": 1, "batch_size": 8}
    values["prototypes"] |= {"epochs": 2, "batch_size": 8}
    values["adapt"] |= {"method": "drift", "epochs": 2, "steps_per_epoch": 2, "batch_size": 8}
    values["methods"]["drift"] = {"pull": 0.2}
    values["evaluate"] |= {"bootstrap": 50, "tsne_samples": 12}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(values, sort_keys=False))
    (tmp_path / "params").mkdir()
    shutil.copy(ROOT / "params/paper.yaml", tmp_path / "params")
    shutil.copy(ROOT / "dvc.yaml", tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    yield tmp_path
    mlflow.set_tracking_uri(None)  # type: ignore[arg-type]
    os.environ.pop("MLFLOW_TRACKING_URI", None)
    torch.use_deterministic_algorithms(False)


def label_folders(root: Path) -> None:
    """A folder set is labelled by folders."""
    for path in list(root.glob("*.png")):
        name = ("anger", "disgust", "fear", "happiness", "neutral", "sadness", "surprise")[int(path.name[0])]
        (root / name).mkdir(exist_ok=True)
        path.rename(root / name / path.name)


def test_plug_ins_go_from_pictures_to_tables(project: Path) -> None:
    label_folders(project / "sets/jaffe_like")
    for name in ("jaffe_like", "toy"):
        faces.main(name)
    for name in ("jaffe_like", "toy"):
        split.main(name)
    pretrain.main()
    prototypes.main()
    for name in ("jaffe_like", "toy"):
        features.main(name)
    adapt.main("toy")
    evaluate.main("toy")
    report.main()
    result = json.loads((project / "reports/evaluate/toy/result.json").read_text())
    assert (result["method"], result["backbone"], result["parameters"]["adapt.pull"]) == ("drift", "squares", 0.2)
    assert result["before"]["accuracy"] <= 1.0
    assert result["n_test"] == 14
    tables = (project / "reports/tables.md").read_text()
    assert "| Drift (measured) | jaffe_like | Squares, no pre-training |" in tables
    assert "targets Toy faces (real); method Drift; backbone Squares, no pre-training" in tables
    assert (project / "reports/figures/fig3_toy.png").is_file()
    assert "Toy faces" in tables
    assert json.loads((project / "models/adapted/toy/model.json").read_text())["adapt"]["pull"] == 0.2


def test_a_plug_ins_parameters_are_its_own(project: Path) -> None:
    path = project / "params.yaml"
    assert params.load(path, ["adapt.pull=0.5"]).adapt.model_dump()["pull"] == 0.5
    with pytest.raises(ParamsError, match=r"adapt\.tau: drift has no such parameter, pocan has"):
        params.load(path, ["adapt.tau=0.5"])
    with pytest.raises(ParamsError, match=r"methods\.pocan\.pull: pocan has no such parameter, drift has"):
        params.load(path, ["methods.pocan.pull=0.5"])
    with pytest.raises(ParamsError, match=r"methods\.drift\.epochs: the same for all methods; move it"):
        params.load(path, ["methods.drift.epochs=5"])


def test_a_name_is_registered_once_and_is_a_name() -> None:
    with pytest.raises(ValueError, match="data set 'toy' is registered already"):
        DATASETS.add(Toy)
    with pytest.raises(ValueError, match=r"backbone '\.\./squares': a name is made of letters"):
        BACKBONES.add(Backbone(name="../squares", title="", features=1, build=SQUARES.build))
    with pytest.raises(ParamsError, match=r"unknown backbone 'square' \(did you mean 'squares'\?\)"):
        BACKBONES["square"]


def test_a_module_that_is_not_registered_is_named() -> None:
    empty = Registry[Any]("method", package="pipeline.methods")
    with pytest.raises(
        ParamsError, match=r"If pipeline/methods/dann\.py is a method, add its line to pipeline/methods/__"
    ):
        empty["dann"]
    for name in ("dan", "..", "parts/base"):
        assert ("add its line" in empty.absent(name)) == (name == "dan")
