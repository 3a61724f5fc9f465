"""What a source model keeps of its pictures: NumPy's numbers, saved, opened and exported with it."""

from pathlib import Path

import numpy as np
import pytest
import torch

from pipeline.config.methods import METHODS
from pipeline.errors import WeightsError
from pipeline.exporting import onnx
from pipeline.methods import require_statistics
from pipeline.networks import saved
from pipeline.networks.network import PrototypeClassifier, unit_rows
from pipeline.networks.statistics import ClassStatistics
from pipeline.networks.trained import open_model
from tests.methods.toy import method
from tests.models import write_source


def test_they_are_numpys() -> None:
    labels = torch.tensor([0, 3, 3, 6, 0, 3])
    z = unit_rows(torch.randn(6, 4, generator=torch.Generator().manual_seed(0)))
    found, rows = ClassStatistics.of(z, labels), z.double().numpy()
    for index in (0, 3, 6):
        np.testing.assert_allclose(found.means[index], rows[labels.numpy() == index].mean(axis=0), rtol=1e-6)
    assert found.means[[1, 2, 4, 5]].eq(0).all()
    assert found.shares.tolist() == pytest.approx([2 / 6, 0, 0, 3 / 6, 0, 0, 1 / 6])
    np.testing.assert_allclose(found.covariance, np.cov(rows.T, bias=True), rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(found.mean(), rows.mean(axis=0), rtol=1e-5)


def test_they_are_saved_and_opened_with_the_source_model(tmp_path: Path) -> None:
    model = write_source(tmp_path)
    found = open_model(tmp_path / "prototypes").model
    assert isinstance(found, PrototypeClassifier)
    assert found.statistics is not None
    assert model.statistics is not None
    for key, value in model.statistics.state_dict().items():
        assert torch.equal(found.statistics.get_buffer(key), value)


def test_an_older_model_opens_and_what_needs_them_is_refused_by_name(tmp_path: Path) -> None:
    model = write_source(tmp_path)
    made = saved.describe(tmp_path / "prototypes")
    older = {name: part for name, part in model.named_children() if name not in ("network", "statistics")}
    saved.save(tmp_path / "prototypes", older, made)
    found = open_model(tmp_path / "prototypes").model
    images = torch.rand(2, 3, 112, 112)
    assert torch.equal(found(images), model(images))
    needing = [name for name, params in METHODS.items() if params.needs_statistics]
    assert "shift" in needing
    for name in needing:
        with pytest.raises(WeightsError, match=f"{name}: this source model has no class statistics; run dvc repro pro"):
            require_statistics(method(name).params, found)


def test_they_are_no_part_of_the_exported_file(tmp_path: Path) -> None:
    library = pytest.importorskip("onnx")
    write_source(tmp_path)
    trained = open_model(tmp_path / "prototypes")
    onnx.export(trained, tmp_path / "model.onnx")
    crops = np.random.Generator(np.random.PCG64(0)).integers(0, 256, (3, 112, 112, 3), dtype=np.uint8)
    assert onnx.difference(trained, tmp_path / "model.onnx", crops) < 1e-5
    held = [tensor.name for tensor in library.load(tmp_path / "model.onnx").graph.initializer]
    assert [name for name in held if "statistics" in name] == []
