"""The map that restores a target's features, and when it is used."""

import copy
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from sklearn.linear_model import Ridge
from torch import Tensor

from pipeline.config.learning import EncoderRules
from pipeline.data.batches import DeviceCrops
from pipeline.data.prepared import PreparedData
from pipeline.errors import DamagedFileError
from pipeline.networks import encoder_statistics
from pipeline.networks.camera_style import StyledCrops, fit
from pipeline.networks.encoder_statistics import StatisticsChoice, choose_restored, take_over, taken_over
from pipeline.networks.feature_files import read_choice
from pipeline.networks.features import FeatureRequest
from pipeline.networks.network import PrototypeClassifier
from pipeline.networks.restoration import RIDGE, Restoration, regression
from pipeline.networks.source_pictures import SourcePictures
from tests.methods import toy

VIEWS = toy.pictures(2, shifted=True).evaluation_view(toy.pictures(2, shifted=True).batch(toy.ROWS), 0.9)


def test_the_map_is_a_ridge_regression() -> None:
    draw = torch.Generator().manual_seed(0)
    seen = torch.randn(200, 5, generator=draw)
    clear = seen @ torch.randn(5, 5, generator=draw) + torch.randn(200, 5, generator=draw) + 3.0
    found = regression(seen, clear)
    penalty = RIDGE * float(seen.var(dim=0, correction=0).mean()) * len(seen)
    expected = Ridge(alpha=penalty).fit(seen.numpy(), clear.numpy())
    np.testing.assert_allclose(found(seen).numpy(), expected.predict(seen.numpy()), atol=1e-4)


def test_features_that_are_all_equal_are_mapped_to_the_mean() -> None:
    clear = torch.randn(20, 3)
    found = regression(torch.ones(20, 3), clear)(torch.ones(1, 3))
    torch.testing.assert_close(found[0], clear.mean(dim=0))


def constant(features: Tensor) -> Restoration:
    """A map that gives every picture the same features."""
    found = Restoration(len(features))
    found.weight.zero_()
    found.bias.copy_(features)
    return found


@torch.no_grad()
def seen_by(model: PrototypeClassifier) -> tuple[Tensor, Tensor]:
    """The features of the views, and the entropy of each prediction."""
    clear = model.network.encoder(VIEWS)
    p = torch.softmax(model.prototypes(model.network.head(clear)) - model.decision.adjustment, dim=1)
    return clear, -(p * p.log()).sum(dim=1)


def test_by_entropy_it_is_used_where_predictions_become_clearly_surer() -> None:
    model = copy.deepcopy(toy.source_model()).eval()
    encoder = model.network.encoder
    clear, entropies = seen_by(model)
    sure, unsure = constant(clear[entropies.argmin()]), constant(clear[entropies.argmax()])

    taken = StatisticsChoice(), encoder
    choice, changed = choose_restored(model, "entropy", taken, taken, sure, lambda: [VIEWS])
    assert choice.unrestored_entropy == pytest.approx(float(entropies.mean()), abs=1e-4)
    assert choice.restored_entropy == pytest.approx(float(entropies.min()), abs=1e-4)
    assert choice.restored
    assert changed.restoration is sure
    assert encoder.restoration is None

    for no_better in (unsure, Restoration(encoder.dim)):
        choice, changed = choose_restored(model, "entropy", taken, taken, no_better, lambda: [VIEWS])
        assert choice.unchanged
        assert changed is encoder
        choice, changed = choose_restored(model, "always", taken, taken, no_better, lambda: [VIEWS])
        assert not choice.unchanged
        assert changed.restoration is no_better


def test_by_entropy_the_targets_statistics_come_with_the_restoration_or_stay_away_with_it() -> None:
    model = copy.deepcopy(toy.source_model()).eval()
    encoder, adapted = model.network.encoder, copy.deepcopy(model.network.encoder)
    taken, restorable = (StatisticsChoice(), encoder), (StatisticsChoice("target"), adapted)
    clear, entropies = seen_by(model)
    for place, chosen in ((entropies.argmin(), "target"), (entropies.argmax(), "source")):
        choice, changed = choose_restored(model, "entropy", taken, restorable, constant(clear[place]), lambda: [VIEWS])
        assert (choice.chosen, choice.restored) == (chosen, chosen == "target")
        assert choice.unrestored_entropy == pytest.approx(float(entropies.mean()), abs=1e-4)
        assert choice.restored_entropy == pytest.approx(float(entropies[place]), abs=1e-4)
        assert (changed is encoder) == (chosen == "source")


def test_statistics_that_help_more_alone_are_taken_alone() -> None:
    model = copy.deepcopy(toy.source_model()).eval()
    encoder = model.network.encoder
    clear, entropies = seen_by(model)
    sure, least = constant(clear[entropies.argmin()]), float(entropies.min())
    for of_target, restored in ((least - 0.01, False), (least + 0.01, True)):
        alone = StatisticsChoice("target", float(entropies.mean()), of_target), copy.deepcopy(encoder)
        choice, _ = choose_restored(model, "entropy", alone, alone, sure, lambda: [VIEWS])
        assert (choice.chosen, choice.restored) == ("target", restored)


def test_an_encoder_keeps_its_restoration() -> None:
    encoder = copy.deepcopy(toy.source_model().network.encoder).eval()
    with torch.no_grad():
        plain = encoder(VIEWS)
        encoder.restoration = Restoration(encoder.dim)
        torch.testing.assert_close(encoder(VIEWS), plain)  # the identity
        encoder.restoration.weight.copy_(torch.randn(encoder.dim, encoder.dim))
        torch.testing.assert_close(encoder(VIEWS), plain @ encoder.restoration.weight + encoder.restoration.bias)
        other = copy.deepcopy(toy.source_model().network.encoder).eval()
        take_over(other, taken_over(encoder))
        torch.testing.assert_close(other(VIEWS), encoder(VIEWS))


@pytest.fixture(scope="module")
def domains(tmp_path_factory: pytest.TempPathFactory) -> tuple[PreparedData, PreparedData]:
    folder = tmp_path_factory.mktemp("restoration")
    return toy.prepared(folder / "source", 1, shifted=False), toy.prepared(folder / "target", 2, shifted=True)


ALWAYS = EncoderRules(restoration="always")


def request(
    domains: tuple[PreparedData, PreparedData], source: bool = True, rules: EncoderRules = ALWAYS
) -> FeatureRequest:
    model: PrototypeClassifier = copy.deepcopy(toy.source_model())
    of_source = domains[0] if source else None
    return FeatureRequest.of_target(model.network.encoder, domains[1], 1, toy.VIEWS, rules, model, of_source)


@pytest.mark.slow
def test_the_map_is_fitted_on_source_pictures_in_the_targets_style(
    domains: tuple[PreparedData, PreparedData], tmp_path: Path
) -> None:
    wanted = request(domains)
    wanted.write(tmp_path / "f", toy.CPU)
    source, target = (SourcePictures.of(one).images[:100] for one in domains)
    style, choice = fit(source, target), read_choice(tmp_path / "f")
    assert (choice.restored, choice.blur, choice.noise) == (True, style.pixels, style.grey_levels)

    encoder, every = copy.deepcopy(toy.source_model().network.encoder).eval(), torch.arange(100)
    with torch.no_grad():
        clear, seen = (
            encoder(one.evaluation_view(one.batch(every), toy.VIEWS.eval_crop))
            for one in (DeviceCrops(source, toy.CPU), StyledCrops(source, toy.CPU, style))
        )
        plain = request(domains).encoder.eval()
        inputs = DeviceCrops(domains[1].store.images, toy.CPU)
        features = plain(inputs.evaluation_view(inputs.batch(toy.ROWS), toy.VIEWS.eval_crop))
    expected = regression(seen, clear)(features)
    found = wanted.read(tmp_path / "f", toy.CPU).batch(toy.ROWS)[:, 0]
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-3)
    by_source = wanted.read_by_source(tmp_path / "f", toy.CPU).batch(toy.ROWS)[:, 0]
    torch.testing.assert_close(by_source, features, rtol=0, atol=1e-5)


@pytest.mark.slow
def test_the_choice_says_how_small_the_targets_pictures_were(
    domains: tuple[PreparedData, PreparedData], tmp_path: Path
) -> None:
    same_camera = toy.pictures(2, shifted=False).batch(toy.ROWS).permute(0, 2, 3, 1).numpy()
    few = [cv2.resize(one, (20, 20), interpolation=cv2.INTER_AREA) for one in same_camera]
    images = np.stack([cv2.resize(one, (112, 112), interpolation=cv2.INTER_LINEAR) for one in few])
    replace(request(domains), images=images, crops="small").write(tmp_path / "f", toy.CPU)
    assert read_choice(tmp_path / "f").side == 20
    request(domains).write(tmp_path / "f", toy.CPU)
    assert read_choice(tmp_path / "f").side is None


@pytest.mark.slow
def test_only_by_entropy_do_the_statistics_come_with_the_restoration(
    domains: tuple[PreparedData, PreparedData], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(encoder_statistics, "MARGIN", 100.0)  # nothing is taken over by entropy
    wanted = request(domains, rules=EncoderRules("entropy", restoration="always"))
    wanted.write(tmp_path / "always", toy.CPU)
    choice = read_choice(tmp_path / "always")
    assert (choice.chosen, choice.restored) == ("source", True)

    by_entropy = request(domains, rules=EncoderRules("entropy", restoration="entropy"))
    by_entropy.write(tmp_path / "rejected", toy.CPU)
    assert read_choice(tmp_path / "rejected").unchanged
    monkeypatch.setattr(encoder_statistics, "MARGIN", -100.0)
    by_entropy = request(domains, rules=EncoderRules("entropy", restoration="entropy"))
    by_entropy.write(tmp_path / "taken", toy.CPU)
    choice = read_choice(tmp_path / "taken")
    assert choice.chosen == "target"
    assert choice.restored == (choice.restored_entropy < choice.of_target)  # type: ignore[operator]


@pytest.mark.slow
def test_without_source_pictures_nothing_is_restored_and_other_source_pictures_are_another_request(
    domains: tuple[PreparedData, PreparedData], tmp_path: Path
) -> None:
    without = request(domains, source=False)
    without.write(tmp_path / "f", toy.CPU)
    assert read_choice(tmp_path / "f").unchanged
    with pytest.raises(DamagedFileError, match="of another encoder, split or views"):
        request(domains).read(tmp_path / "f", toy.CPU)
    request(domains).write(tmp_path / "f", toy.CPU)
    other = request((domains[1], domains[1]))
    with pytest.raises(DamagedFileError, match="of another encoder, split or views"):
        other.read(tmp_path / "f", toy.CPU)
