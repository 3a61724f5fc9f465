"""The features stage in parts, as several machines run it."""

from pathlib import Path

import pytest
import yaml

from pipeline.config import paths
from pipeline.config.load import load
from pipeline.errors import ParamsError
from pipeline.joining import join
from pipeline.networks import saved
from pipeline.networks.network import Network
from stages import features
from tests.models import PRETRAINED
from tests.stages.test_interrupted_stage import make_project


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with a model after stage 1, as the working directory."""
    folder = make_project(tmp_path)
    monkeypatch.chdir(folder)
    saved.save(paths.PRETRAINED, {"network": Network(load().model)}, PRETRAINED)
    return folder


def set_adapt(**changes: str) -> None:
    values = yaml.safe_load(Path("params.yaml").read_text())
    values["adapt"] |= changes
    Path("params.yaml").write_text(yaml.safe_dump(values, sort_keys=False))


@pytest.mark.parametrize("dataset", ["jaffe", "rafdb"])
def test_parts_are_the_features_of_one_run(dataset: str, project: Path) -> None:
    set_adapt(trains="head", encoder_statistics="source")
    features.main(dataset)
    for number in (1, 2):
        features.main(dataset, f"{number}/2")
    join(sorted((project / "data/.shards/features" / dataset).iterdir()), Path("joined"))
    for name in ("features.npy", "features.json"):
        assert Path("joined", name).read_bytes() == (paths.features(dataset) / name).read_bytes()


@pytest.mark.usefixtures("project")
def test_what_cannot_be_divided_is_refused() -> None:
    with pytest.raises(ParamsError, match=r"adapt\.trains is all, which needs no features"):
        features.main("jaffe", "1/2")
    set_adapt(trains="head", encoder_statistics="entropy")
    with pytest.raises(ParamsError, match="--shard: '3/2' is not a shard"):
        features.main("jaffe", "3/2")
    with pytest.raises(ParamsError, match=r"is of all its pictures; set adapt\.encoder_statistics: source,"):
        features.main("jaffe", "1/2")
    assert not Path("data/.shards").exists()
