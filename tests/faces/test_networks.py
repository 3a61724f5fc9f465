"""The weight files: found without the package that ships them, refused when they do not fit."""

import subprocess
import sys
from pathlib import Path

import joblib
import numpy as np
import pytest
import torch
from torch import nn

from pipeline.errors import WeightsError
from pipeline.faces import networks
from pipeline.faces.networks import ONet, PNet, RNet
from pipeline.files import io

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_detector_never_imports_mtcnn_or_tensorflow() -> None:
    program = (
        "import sys, torch\n"
        "from pipeline.faces.mtcnn import MTCNN\n"
        "MTCNN(20, 0.709, (0.6, 0.7, 0.8), torch.device('cpu'))\n"
        "print(sorted({'mtcnn', 'tensorflow', 'keras'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(("network", "name"), [(PNet(), "pnet"), (RNet(), "rnet"), (ONet(), "onet")])
def test_every_parameter_is_filled(network: nn.Module, name: str) -> None:
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.fill_(float("nan"))
    networks.load_weights(network, name)
    assert all(parameter.isfinite().all() for parameter in network.parameters())


def test_convolution_is_transposed_not_reshaped() -> None:
    array = np.arange(2 * 3 * 4 * 5, dtype=np.float32).reshape(2, 3, 4, 5)
    assert networks.from_keras(array)[4, 2, 1, 0] == array[1, 0, 2, 4]


def test_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(io, "find_spec", lambda name: None)
    with pytest.raises(WeightsError, match=r"package mtcnn.*pip install"):
        networks.weight_file("pnet")


def test_missing_file_is_named() -> None:
    with pytest.raises(WeightsError, match=r"qnet\.lz4: missing"):
        networks.weight_file("qnet")


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ([np.zeros((3, 3, 3, 10))], "1 arrays, but the network has 2"),
        ([np.zeros((3, 3, 3, 9)), np.zeros(10)], r"weight should be \(10, 3, 3, 3\), not \(9, 3, 3, 3\)"),
    ],
)
def test_file_that_does_not_fit_is_refused(
    arrays: list[np.ndarray], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    joblib.dump(arrays, tmp_path / "pnet.lz4")
    monkeypatch.setattr(networks, "weight_file", lambda name: tmp_path / f"{name}.lz4")
    with pytest.raises(WeightsError, match=message):
        networks.load_weights(nn.Conv2d(3, 10, 3), "pnet")
