"""Features of f that are computed once, and the adaptation of the head that reads them."""

import copy
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from pipeline.config.load import load
from pipeline.config.methods import METHODS
from pipeline.data.batches import DeviceCrops, DeviceFeatures, generator_for
from pipeline.data.prepared import PreparedData, Split
from pipeline.errors import DamagedFileError, DatasetError, ParamsError, StorageError, TrainingError
from pipeline.files.io import sha256
from pipeline.joining import join
from pipeline.locks import exclusive
from pipeline.methods import Method, SourceDomain, TargetDomain
from pipeline.networks import feature_files
from pipeline.networks import features as features_module
from pipeline.networks.feature_shards import write_features_shard
from pipeline.networks.features import FeatureRequest, GivenFeatures, source_rows, swap_encoder
from pipeline.networks.network import Encoder, PrototypeClassifier
from pipeline.shards import Shard
from pipeline.training import loop
from pipeline.training.checkpoints import Checkpoint
from tests.methods import toy
from tests.stores import write_store

pytestmark = pytest.mark.slow  # the toy source model is trained first

HEAD = sorted(name for name, params in METHODS.items() if params.adapts and not params.needs_encoder)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> PreparedData:
    """Twenty-one pictures of the toy problem, fourteen of them to adapt to."""
    crops = toy.pictures(2, shifted=True).batch(torch.arange(21)).permute(0, 2, 3, 1).numpy()
    rows = [{"key": f"{row}.png", "method": "mtcnn"} for row in range(21)]
    store = write_store(tmp_path_factory.mktemp("features") / "crops", list(crops), rows)
    return PreparedData("toy", store, Split(np.arange(14), np.arange(14, 21)))


def request(data: PreparedData, model: PrototypeClassifier | None = None, views: int = 2) -> FeatureRequest:
    encoder = (model or toy.source_model()).network.encoder
    return FeatureRequest.of_target(encoder, data, views, toy.VIEWS)


def test_features_are_those_of_the_evaluation_view_and_of_training_views(data: PreparedData, tmp_path: Path) -> None:
    wanted = request(data)
    wanted.write(tmp_path / "f", toy.CPU)
    features = wanted.read(tmp_path / "f", toy.CPU)

    crops = DeviceCrops(data.store.images, toy.CPU)
    rows = torch.arange(21)
    encoder = toy.source_model().network.encoder.eval()
    with torch.no_grad():
        expected = encoder(crops.evaluation_view(crops.batch(rows), toy.VIEWS.eval_crop))
        draws = crops.draw(1, 14, generator_for(0, "features toy", 2))[0]
        second = encoder(crops.training_views(crops.batch(rows[:14]), draws, toy.VIEWS))
    stored = features.batch(rows)
    assert stored.shape == (21, 3, 512)
    torch.testing.assert_close(features.evaluation_view(stored, 1.0), expected)
    torch.testing.assert_close(stored[:14, 2], second)
    assert not stored[14:, 1:].any()


def test_writing_and_reading_digest_the_encoder_once(
    data: PreparedData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen, digest = list[nn.Module](), features_module.digest

    def counted(encoder: nn.Module) -> str:
        seen.append(encoder)
        return digest(encoder)

    monkeypatch.setattr(features_module, "digest", counted)
    wanted = request(data)
    wanted.write(tmp_path / "f", toy.CPU)
    wanted.write(tmp_path / "f", toy.CPU)
    wanted.read(tmp_path / "f", toy.CPU)
    assert seen == [wanted.encoder]


def test_features_are_computed_once(data: PreparedData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    request(data).write(tmp_path / "f", toy.CPU)
    monkeypatch.setattr(FeatureRequest, "compute", lambda *_: pytest.fail("computed again"))
    request(data).write(tmp_path / "f", toy.CPU)


def test_features_that_another_process_computes_are_left_to_it(data: PreparedData, tmp_path: Path) -> None:
    with (
        exclusive(tmp_path / "f"),
        pytest.raises(StorageError, match=r"f: process \d+ .* is using it; wait for it"),
    ):
        request(data).write(tmp_path / "f", toy.CPU)
    assert not (tmp_path / "f").exists()


@pytest.mark.parametrize("count", [2, 5])
def test_features_of_parts_are_those_of_one_run(
    count: int, data: PreparedData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of 21 pictures six batches, and four of those that are trained on: of five parts one has no views."""
    monkeypatch.setattr("pipeline.networks.features.BATCH", 4)
    wanted = request(data)
    wanted.write(tmp_path / "once", toy.CPU)
    parts = [tmp_path / f"part {number}" for number in range(count)]
    for number, folder in enumerate(parts, start=1):
        write_features_shard(wanted, folder, toy.CPU, Shard(number, count))
    join(parts, tmp_path / "joined")
    for name in ("features.npy", "features.json"):
        assert (tmp_path / "joined" / name).read_bytes() == (tmp_path / "once" / name).read_bytes()
    assert sorted(path.name for path in (tmp_path / "joined").iterdir()) == ["features.json", "features.npy"]
    with pytest.raises(DatasetError, match="joined: exists already"):
        join(parts, tmp_path / "joined")
    with pytest.raises(DatasetError, match=f"shards are missing: {count}/{count}"):
        join(parts[:-1], tmp_path / "other")
    monkeypatch.setattr(FeatureRequest, "compute", lambda *_: pytest.fail("computed again"))
    write_features_shard(wanted, parts[0], toy.CPU, Shard(1, count))


def test_more_parts_than_batches_leave_some_empty(data: PreparedData, tmp_path: Path) -> None:
    wanted = request(data)
    wanted.write(tmp_path / "once", toy.CPU)
    parts = [tmp_path / "1", tmp_path / "2"]
    for number, folder in enumerate(parts, start=1):
        write_features_shard(wanted, folder, toy.CPU, Shard(number, 2))
    join(parts, tmp_path / "joined")
    assert (tmp_path / "joined/features.npy").read_bytes() == (tmp_path / "once/features.npy").read_bytes()


@pytest.mark.parametrize("change", ["encoder", "views"])
def test_features_of_something_else_are_refused_and_made_anew(change: str, data: PreparedData, tmp_path: Path) -> None:
    request(data).write(tmp_path / "f", toy.CPU)
    model = copy.deepcopy(toy.source_model())
    with torch.no_grad():
        next(model.network.encoder.parameters()).mul_(1.5)
    other = request(data, model) if change == "encoder" else request(data, views=1)
    with pytest.raises(DamagedFileError, match="the features are damaged, or of another encoder, split or views"):
        other.read(tmp_path / "f", toy.CPU)
    other.write(tmp_path / "f", toy.CPU)
    assert other.read(tmp_path / "f", toy.CPU).count == 21


def test_damaged_features_are_made_anew(data: PreparedData, tmp_path: Path) -> None:
    request(data).write(tmp_path / "f", toy.CPU)
    (tmp_path / "f/features.json").write_text("{")
    request(data).write(tmp_path / "f", toy.CPU)
    assert request(data).read(tmp_path / "f", toy.CPU).count == 21
    whole = (tmp_path / "f/features.npy").read_bytes()
    (tmp_path / "f/features.npy").write_bytes(whole[:-64] + b"\1" * 64)  # of the same size
    with pytest.raises(DamagedFileError, match=r"the features are damaged, .*; remove the folder and run dvc repro"):
        request(data).read(tmp_path / "f", toy.CPU)
    request(data).write(tmp_path / "f", toy.CPU)
    assert (tmp_path / "f/features.npy").read_bytes() == whole


def test_bytes_are_checked_once_where_they_were_made_and_once_by_whoever_reads_them_later(
    data: PreparedData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checked = list[Path]()

    def noted(path: Path) -> str:
        checked.append(path)
        return sha256(path)

    monkeypatch.setattr(feature_files, "sha256", noted)
    made, later = request(data), request(data)
    made.write(tmp_path / "f", toy.CPU)
    made.read(tmp_path / "f", toy.CPU)
    assert len(checked) == 1
    later.read(tmp_path / "f", toy.CPU)
    assert len(checked) == 2
    later.read(tmp_path / "f", toy.CPU, verify=False)  # another process of the same team has done so
    assert len(checked) == 2
    later.write(tmp_path / "f", toy.CPU)
    later.read(tmp_path / "f", toy.CPU)
    assert len(checked) == 3
    with pytest.raises(DamagedFileError, match="the features are damaged, or of another encoder, split or views"):
        request(data, views=1).read(tmp_path / "f", toy.CPU, verify=False)


def test_an_error_beside_features_that_are_there_is_not_taken_for_their_damage(
    data: PreparedData, tmp_path: Path
) -> None:
    wanted = request(data)
    wanted.write(tmp_path / "f", toy.CPU)

    def fail() -> None:
        with feature_files.features_folder(tmp_path / "f", wanted.description, ["features.npy"]) as folder:
            assert folder is None
            raise DamagedFileError("another file")

    with pytest.raises(DamagedFileError, match="another file"):
        fail()
    assert (tmp_path / "f/features.npy").exists()


def test_a_part_of_the_source_is_the_same_in_every_adaptation(data: PreparedData) -> None:
    rows = source_rows(data, 5)
    assert len(rows) == 5
    assert torch.equal(rows, source_rows(data, 5).sort().values)
    assert set(rows.tolist()) < set(range(14))
    assert source_rows(data, None).tolist() == source_rows(data, 20).tolist() == list(range(14))


def test_no_view_of_a_picture_is_drawn_twice() -> None:
    features = DeviceFeatures(np.arange(5 * 3 * 2, dtype=np.float32).reshape(5, 3, 2), toy.CPU)
    draws = features.draw(2, 5, generator_for(0, "test", 0))
    assert draws.shape == (2, 5)
    assert bool((draws[0] != draws[1]).all())
    views = features.training_views(features.batch(torch.arange(5)), draws.flatten(0, 1), toy.VIEWS)
    assert torch.equal(views[7], features.batch(torch.tensor([2]))[0, draws[1, 2]])
    with pytest.raises(TrainingError, match=r"raise adapt\.source_views"):
        features.draw(4, 5, generator_for(0, "test", 0))


@cache
def toy_features(seed: int, shifted: bool) -> DeviceFeatures:
    """Of the toy problem's pictures by its source model: the evaluation view, then three training views."""
    encoder, crops = copy.deepcopy(toy.source_model().network.encoder).eval(), toy.pictures(seed, shifted)
    stored = crops.batch(toy.ROWS)
    with torch.no_grad():
        views = [encoder(crops.evaluation_view(stored, 1.0))]
        draws = crops.draw(3, toy.COUNT, generator_for(0, "head", seed))
        views += [encoder(crops.training_views(stored, drawn, toy.VIEWS)) for drawn in draws]
    return DeviceFeatures(torch.stack(views, dim=1).numpy(), toy.CPU)


def head_task(name: str) -> tuple[Method, Encoder]:
    """A method of the toy problem on features of its source model."""
    model = copy.deepcopy(toy.source_model())
    encoder = model.network.encoder.eval()
    rates: dict[str, Any] = {"lr": 0.01} if "lr" in METHODS[name].model_fields else {}
    task = toy.method(
        name,
        source=SourceDomain(toy_features(1, shifted=False), toy.ROWS[:105], toy.LABELS, toy.ROWS[105:]),
        target=TargetDomain(toy_features(2, shifted=True), toy.ROWS, toy.ROWS),
        model=_on_features(model),
        trains="head",
        **rates,
    )
    return task, encoder


def _on_features(model: PrototypeClassifier) -> PrototypeClassifier:
    swap_encoder(model, GivenFeatures(model.network.encoder.dim))
    return model


@pytest.mark.parametrize("name", HEAD)
def test_a_method_trains_the_head_on_features_and_predicts_with_f_as_it_was(name: str, tmp_path: Path) -> None:
    task, encoder = head_task(name)
    before = copy.deepcopy(encoder.state_dict())
    curve = loop.fit(task, Checkpoint(tmp_path / "c.pt", {}), lambda *_: None, toy.TEAM)
    task.predict_target()
    on_features = task.probabilities(toy.ROWS)
    for module in task.modules().values():
        swap_encoder(module, encoder)
    task.target = TargetDomain(toy.pictures(2, shifted=True), toy.ROWS, toy.ROWS)
    torch.testing.assert_close(task.probabilities(toy.ROWS), on_features)
    assert np.isfinite([epoch["loss"] for epoch in curve]).all()
    assert all(torch.equal(value, before[key]) for key, value in encoder.state_dict().items())


def test_a_method_that_needs_the_encoder_refuses_by_name() -> None:
    with pytest.raises(
        ParamsError, match=r"adapt\.trains: AGRA needs more than the features of f; set adapt.trains: all"
    ):
        load(changes=["adapt.method=agra", "adapt.trains=head"])
