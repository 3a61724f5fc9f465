"""Trial targets: altered pictures of the test part alone, in the shares that were asked for; what is refused."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipeline.config.load import load
from pipeline.config.schema import Params
from pipeline.data.prepared import Split, write_split
from pipeline.errors import DatasetError, ParamsError
from pipeline.labels import STAND_IN_MARK
from pipeline.trials.camera import Camera
from pipeline.trials.folder import bounds, write_trial_target
from tests.datasets.drawing import save
from tests.stores import write_store

ROOT = Path(__file__).parents[2]
EACH = 8
"""Pictures of each of the two classes; every other one is tested."""


@pytest.fixture
def params(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Params:
    """A folder in which the set ``faces`` is prepared: anger and happiness in grey, some with names much alike."""
    monkeypatch.chdir(tmp_path)
    rows = []
    for label, expression in ((0, "anger"), (3, "happiness")):
        for number in range(EACH):
            key = f"{expression}/{ {1: 'a b', 3: 'a-b'}.get(number, number) }.png"
            save(tmp_path / "real/faces" / key, size=(40, 32), seed=number)
            rows.append({"key": key, "method": "mtcnn", "label": label})
    crops = [np.full((112, 112, 3), 90, np.uint8)] * len(rows)
    write_store(tmp_path / "data/crops/faces", crops, rows, "faces", "real")
    write_split(tmp_path / "data/splits/faces.parquet", Split(np.arange(0, 16, 2), np.arange(1, 16, 2)))
    changes = ["data.root=real", "data.sets=[]", "data.folder_sets=[faces, others]", "standins.sets=[]"]
    changes += ["source=faces", "targets=[others]", "split={faces: {protocol: all}, others: {protocol: all}}"]
    return load(ROOT / "params.yaml", changes)


def pictures(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*.png"))}


def test_pictures_of_the_test_part_alone_and_no_more_than_asked(params: Params, tmp_path: Path) -> None:
    counts = write_trial_target(params, "faces", tmp_path / "trial", ["happiness=3"], seed=0)

    assert {name: count for name, count in counts.items() if count} == {"anger": 4, "happiness": 3}
    found = pictures(tmp_path / "trial")
    angry = [f"anger/anger-{key}.png-{row}.png" for key, row in ((5, 5), (7, 7), ("a-b", 1), ("a-b", 3))]
    assert [name for name in found if name.startswith("anger")] == angry
    happy = {name for name in found if name.startswith("happiness")}
    assert len(happy) == 3
    assert happy < {
        f"happiness/happiness-{key}.png-{EACH + row}.png" for key, row in (("a-b", 1), ("a-b", 3), (5, 5), (7, 7))
    }
    for name in found:
        with Image.open(tmp_path / "trial" / name) as picture:
            pixels = np.asarray(picture)
        assert pixels.shape == (32, 40, 3)
        assert (pixels == pixels[:, :, :1]).all()
    assert not (tmp_path / "trial" / STAND_IN_MARK).exists()


def test_the_same_seed_draws_the_same_and_another_does_not(params: Params, tmp_path: Path) -> None:
    for name, seed in (("one", 0), ("same", 0), ("other", 1)):
        write_trial_target(params, "faces", tmp_path / name, [], seed)
    one, same, other = (pictures(tmp_path / name) for name in ("one", "same", "other"))
    assert one == same
    assert one.keys() == other.keys()
    assert all(one[name] != other[name] for name in one)


def test_what_is_made_of_drawn_faces_is_marked_as_drawn(params: Params, tmp_path: Path) -> None:
    (tmp_path / "real/faces" / STAND_IN_MARK).write_text("{}")
    write_trial_target(params, "faces", tmp_path / "trial", [], seed=0)
    assert (tmp_path / "trial" / STAND_IN_MARK).is_file()


def test_what_is_refused_leaves_nothing_behind(params: Params, tmp_path: Path) -> None:
    trial = tmp_path / "trial"
    with pytest.raises(ParamsError, match="unknown data set 'fases'"):
        write_trial_target(params, "fases", trial, [], seed=0)
    with pytest.raises(DatasetError, match="no picture of its test part is left"):
        write_trial_target(params, "faces", trial, ["anger=0", "happiness=0"], seed=0)
    (tmp_path / "real/faces/anger/7.png").unlink()
    with pytest.raises(DatasetError, match=r"anger/7\.png, which is in data/crops/faces, is gone"):
        write_trial_target(params, "faces", trial, [], seed=0)
    with pytest.raises(DatasetError, match="is inside real/faces, whose pictures are read"):
        write_trial_target(params, "faces", tmp_path / "real/faces/trial", [], seed=0)
    assert not list(tmp_path.rglob("*trial*"))
    trial.mkdir()
    with pytest.raises(DatasetError, match="exists already"):
        write_trial_target(params, "faces", trial, [], seed=0)


def test_bounds_name_what_is_wrong_with_them() -> None:
    assert bounds(["fear=0", "neutral=12"]) == {2: 0, 6: 12}
    with pytest.raises(ParamsError, match="--at-most hapiness=3: unknown expression 'hapiness'"):
        bounds(["hapiness=3"])
    for wrong in ("fear", "fear=", "fear=-1", "fear=many", "fear=" + "9" * 5000):
        with pytest.raises(ParamsError, match=f"--at-most {wrong}: give a number of pictures, as in fear=100"):
            bounds([wrong])


def test_the_other_camera_darkens_the_middle_tones_and_leaves_the_middle_where_it_is() -> None:
    grey = Camera().show(np.full((96, 96, 3), 100, np.uint8), np.random.default_rng(0))
    assert grey.mean() == pytest.approx(255 * (100 / 255) ** 1.5 * 0.7 + 40, abs=0.3)
    assert grey.std() == pytest.approx(6.0, abs=0.3)

    dot = np.zeros((97, 97, 3), np.uint8)
    dot[45:52, 45:52] = 255
    seen = Camera().show(dot, np.random.default_rng(1))[:, :, 0].astype(float) - 40
    y, x = np.mgrid[:97, :97]
    bright = np.where(seen > 60, seen, 0)
    assert (bright * y).sum() / bright.sum() == pytest.approx(48, abs=0.5)
    assert (bright * x).sum() / bright.sum() == pytest.approx(48, abs=0.5)
