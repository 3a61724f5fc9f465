"""The split stage: a target that nothing can adapt to is refused by name, before anything is trained."""

from pathlib import Path

import pytest
import yaml

from pipeline.config import load as params
from pipeline.config.paths import crops, split
from pipeline.errors import DatasetError
from stages import split as stage
from tests.stores import flat, write_store

ROOT = Path(__file__).parents[2]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The crops of a source, of a target of one picture, and of a set of one picture that is no target."""
    values = params.read(ROOT / "params.yaml")
    values["targets"] = ["jaffe"]
    values["split"] |= {name: {"protocol": "all"} for name in ("rafdb", "jaffe")}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(values, sort_keys=False))
    monkeypatch.chdir(tmp_path)
    for name, count in (("rafdb", 3), ("jaffe", 1), ("sfew", 1)):
        rows = [{"key": f"{index}.png", "method": "mtcnn", "label": index} for index in range(count)]
        write_store(crops(name), [flat(9 * index) for index in range(count)], rows, name)
    return tmp_path


@pytest.mark.usefixtures("project")
@pytest.mark.parametrize("divided", ["rafdb", "jaffe"])
def test_a_target_of_one_picture_is_refused_with_the_source_and_by_itself(divided: str) -> None:
    with pytest.raises(DatasetError, match="jaffe: a target needs at least 2 pictures to adapt to and has 1: add"):
        stage.main(divided)
    assert not split(divided).exists()


def test_a_copy_from_another_disk_that_was_killed_is_no_set(project: Path) -> None:
    write_store(crops("jaffe"), [flat(1), flat(2)], [{"key": f"{index}.png", "method": "mtcnn"} for index in (1, 2)])
    crops("sfew").rename(project / "data/crops/.sfew.killed")
    assert stage.every_other("rafdb") == ["jaffe"]
    stage.main("rafdb")
    assert split("rafdb").is_file()


@pytest.mark.usefixtures("project")
def test_classes_that_the_source_cannot_teach_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    write_store(crops("jaffe"), [flat(1), flat(2)], [{"key": f"{index}.png", "method": "mtcnn"} for index in (1, 2)])
    stage.main("rafdb")
    assert "no training picture of happiness, sadness, surprise, neutral: the model cannot" in capsys.readouterr().out
    stage.main("jaffe")
    assert "no training picture" not in capsys.readouterr().out
