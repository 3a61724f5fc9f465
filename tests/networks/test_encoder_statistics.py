"""The target's own statistics in the encoder's batch norms, and the choice between them and the source's."""

import copy
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pipeline.config.learning import EncoderRules
from pipeline.data.prepared import PreparedData
from pipeline.errors import DamagedFileError, ParamsError
from pipeline.networks.encoder_statistics import (
    MARGIN,
    TONE_MARGIN,
    choose,
    drawn,
    take_over,
    taken_over,
    with_statistics,
)
from pipeline.networks.feature_files import read_choice
from pipeline.networks.features import FeatureRequest
from pipeline.networks.grey_levels import GreyLevels
from pipeline.networks.network import Encoder, PrototypeClassifier
from pipeline.validators.measures import entropy
from tests.methods import toy

pytestmark = pytest.mark.slow  # the toy source model is trained first


def views(shifted: bool, seed: int = 2) -> list[Tensor]:
    crops = toy.pictures(seed, shifted)
    return [crops.evaluation_view(crops.batch(rows), 1.0) for rows in toy.ROWS.split(70)]


def places_of(shifted: bool, seed: int = 2) -> Callable[[Tensor], Iterable[Tensor]]:
    every = torch.cat(views(shifted, seed))
    return lambda places: every[places].tensor_split(2)


def test_every_batch_norm_is_halfway_to_the_mean_statistics_of_the_batches() -> None:
    encoder = toy.source_model().network.encoder
    before = copy.deepcopy(encoder.state_dict())
    found = with_statistics(encoder, views(shifted=True))

    first, norm, relu, second = list(encoder.trunk.children())[:4]
    assert isinstance(norm, nn.BatchNorm2d)
    inputs = [first(images) for images in views(shifted=True)]
    means = torch.stack([part.mean(dim=(0, 2, 3)) for part in inputs]).mean(dim=0)
    variances = torch.stack([part.var(dim=(0, 2, 3)) for part in inputs]).mean(dim=0)
    halfway = (means + before["trunk.1.running_mean"]) / 2
    torch.testing.assert_close(found.get_buffer("trunk.1.running_mean"), halfway)
    halfway = (variances + before["trunk.1.running_var"]) / 2
    torch.testing.assert_close(found.get_buffer("trunk.1.running_var"), halfway)
    deeper = [
        second(relu(F.batch_norm(part, None, None, norm.weight, norm.bias, training=True, eps=norm.eps)))
        for part in inputs
    ]
    means = torch.stack([part.mean(dim=(0, 2, 3)) for part in deeper]).mean(dim=0)
    torch.testing.assert_close(found.get_buffer("trunk.4.running_mean"), (means + before["trunk.4.running_mean"]) / 2)
    assert not found.training
    assert {part.momentum for part in found.modules() if isinstance(part, nn.BatchNorm2d)} == {norm.momentum}
    assert all(torch.equal(value, before[key]) for key, value in encoder.state_dict().items())


def test_the_target_keeps_its_own_statistics_where_predictions_become_surer() -> None:
    model = copy.deepcopy(toy.source_model()).eval()
    (choice, encoder), _ = choose(model, EncoderRules("entropy"), toy.COUNT, places_of(shifted=True))
    of_source = entropy(torch.cat([model.embed(images)[1] for images in views(True)]).detach().numpy())
    assert choice.of_source == pytest.approx(of_source, abs=1e-5)
    assert choice.of_target is not None
    assert choice.of_target < of_source - MARGIN
    assert choice.chosen == "target"
    assert _right(model, encoder) > _right(model, model.network.encoder)

    own = places_of(shifted=False, seed=1)
    (choice, encoder), (with_restoration, adapted) = choose(model, EncoderRules("entropy"), toy.COUNT, own)
    assert choice.chosen == "source"
    assert encoder is model.network.encoder
    assert with_restoration == replace(choice, chosen="target")
    assert adapted is not encoder
    (choice, encoder), _ = choose(model, EncoderRules("target"), toy.COUNT, own)
    assert (choice.chosen, choice.of_source) == ("target", None)
    assert encoder is not model.network.encoder


def _right(model: PrototypeClassifier, encoder: Encoder) -> float:
    z = torch.cat([model.network.head(encoder(images)) for images in views(True)])
    return 100.0 * float((model.prototypes(z).argmax(dim=1) == toy.LABELS).double().mean())


def test_an_encoder_without_batch_norms_keeps_what_it_has() -> None:
    model = copy.deepcopy(toy.source_model()).eval()
    model.network.encoder.trunk = nn.Sequential(nn.AdaptiveAvgPool2d(13), nn.Flatten())
    (choice, encoder), _ = choose(model, EncoderRules("entropy"), toy.COUNT, places_of(True))
    assert choice.chosen == "source"
    assert encoder is model.network.encoder
    with pytest.raises(ParamsError, match=r"adapt\.encoder_statistics: this encoder has no batch norms"):
        choose(model, EncoderRules("target"), toy.COUNT, places_of(True))


def darker(seed: int = 1) -> Tensor:
    """The source's toy pictures as a dark camera with little contrast would show them."""
    return torch.cat(views(shifted=False, seed=seed)) ** 2 * 0.4


def test_grey_levels_are_matched_where_predictions_become_surer() -> None:
    model, images = copy.deepcopy(toy.source_model()).eval(), darker()
    (choice, encoder), _ = choose(model, EncoderRules(matching="entropy"), toy.COUNT, lambda places: [images[places]])
    assert choice.matched
    assert choice.unmatched_entropy is not None
    assert choice.matched_entropy is not None
    assert choice.matched_entropy < choice.unmatched_entropy - TONE_MARGIN
    assert (choice.chosen, choice.of_source, choice.unchanged) == ("source", None, False)
    shown = encoder.tone(images)
    levels = GreyLevels.of([shown]).shares.cumsum(0)
    assert model.grey_levels is not None
    assert float((levels - model.grey_levels.shares.cumsum(0)).abs().max()) < 0.1
    assert isinstance(model.network.encoder.tone, nn.Identity)

    own = torch.cat(views(shifted=False, seed=1))
    (choice, encoder), _ = choose(model, EncoderRules(matching="entropy"), toy.COUNT, lambda places: [own[places]])
    assert choice.unchanged
    assert encoder is model.network.encoder
    (choice, encoder), _ = choose(model, EncoderRules(matching="always"), toy.COUNT, lambda places: [own[places]])
    assert choice.matched
    model.grey_levels = None  # an imported model
    (choice, encoder), _ = choose(model, EncoderRules(matching="always"), toy.COUNT, lambda places: [images[places]])
    assert choice.unchanged
    assert encoder is model.network.encoder


def in_halves(images: Tensor) -> Callable[[Tensor], Iterable[Tensor]]:
    return lambda places: images[places].tensor_split(2)


def test_a_restoration_is_fitted_for_the_targets_statistics_where_these_are_a_candidate() -> None:
    model, dark = copy.deepcopy(toy.source_model()).eval(), darker()
    shifted, own = torch.cat(views(shifted=True)), torch.cat(views(shifted=False, seed=1))
    for rules, images, same in (
        (EncoderRules("entropy"), shifted, True),  # the statistics suffice
        (EncoderRules("target"), own, True),
        (EncoderRules(matching="entropy"), dark, True),
        (EncoderRules("entropy"), own, False),
        (EncoderRules("entropy", "entropy"), own, False),
    ):
        taken, restorable = choose(model, rules, toy.COUNT, in_halves(images))
        assert (restorable[1] is taken[1]) == same
        assert restorable[0] == (taken[0] if same else replace(taken[0], chosen="target", matched=False))


def test_both_are_taken_over_where_both_are_asked_for_and_else_the_statistics_alone() -> None:
    model, images = copy.deepcopy(toy.source_model()).eval(), darker()
    (choice, encoder), _ = choose(
        model, EncoderRules("target", "always"), toy.COUNT, lambda places: images[places].tensor_split(2)
    )
    assert (choice.chosen, choice.matched) == ("target", True)
    other = copy.deepcopy(model.network.encoder)
    take_over(other, taken_over(encoder))
    torch.testing.assert_close(other(images), encoder(images))

    (choice, encoder), _ = choose(model, EncoderRules("entropy", "entropy"), toy.COUNT, places_of(shifted=True))
    assert (choice.chosen, choice.matched, choice.matched_entropy) == ("target", False, None)
    assert isinstance(encoder.tone, nn.Identity)


def test_pictures_are_drawn_by_predicted_class_with_the_sources_shares() -> None:
    predicted = torch.tensor([0] * 900 + [1] * 90 + [3] * 10)
    shares = torch.tensor([0.1, 0.3, 0.4, 0.2, 0.0, 0.0, 0.0])  # nothing is predicted as class 2
    counts = torch.bincount(predicted[drawn(predicted, shares)], minlength=7) / len(predicted)
    torch.testing.assert_close(counts, torch.tensor([1.0, 3.0, 0.0, 2.0, 0.0, 0.0, 0.0]) / 6, rtol=0, atol=0.05)
    assert torch.equal(drawn(predicted, None).sort().values, torch.arange(1000))
    assert len(drawn(predicted, torch.tensor([0.0] * 6 + [1.0]))) == 1000


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> PreparedData:
    return toy.prepared(tmp_path_factory.mktemp("statistics") / "toy", 2, shifted=True)


def request(data: PreparedData) -> FeatureRequest:
    model = copy.deepcopy(toy.source_model())
    return FeatureRequest.of_target(model.network.encoder, data, 1, toy.VIEWS, EncoderRules("target", "always"), model)


def test_features_have_the_chosen_statistics_and_direct_transfer_has_the_sources(
    data: PreparedData, tmp_path: Path
) -> None:
    wanted, plain = request(data), FeatureRequest.of_target(toy.source_model().network.encoder, data, 1, toy.VIEWS)
    wanted.write(tmp_path / "own", toy.CPU)
    plain.write(tmp_path / "plain", toy.CPU)
    assert read_choice(tmp_path / "own").chosen == "target"
    assert read_choice(tmp_path / "plain").chosen == "source"
    own, direct, by_source = (
        wanted.read(tmp_path / "own", toy.CPU),
        wanted.read_by_source(tmp_path / "own", toy.CPU),
        plain.read(tmp_path / "plain", toy.CPU),
    )
    assert torch.equal(direct.batch(toy.ROWS)[:, 0], by_source.batch(toy.ROWS)[:, 0])
    assert torch.equal(plain.read_by_source(tmp_path / "plain", toy.CPU).batch(toy.ROWS), by_source.batch(toy.ROWS))
    again = replace(plain, encoder=wanted.read_encoder(tmp_path / "own"))
    again.write(tmp_path / "again", toy.CPU)
    torch.testing.assert_close(
        again.read(tmp_path / "again", toy.CPU).batch(toy.ROWS), own.batch(toy.ROWS), rtol=0, atol=1e-6
    )


def test_features_by_another_decision_or_with_a_damaged_file_are_refused(data: PreparedData, tmp_path: Path) -> None:
    request(data).write(tmp_path / "f", toy.CPU)
    other = request(data)
    assert other.model is not None
    other.model.decision.adjust(torch.tensor([0.4, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1]), 1.0)
    with pytest.raises(DamagedFileError, match="the features are damaged, or of another encoder, split or views"):
        other.read(tmp_path / "f", toy.CPU)
    with (tmp_path / "f/by_source.npy").open("r+b") as file:
        file.seek(-4, 2)
        file.write(b"\0\0\x80?")
    with pytest.raises(DamagedFileError, match=r"the features are damaged, .*; remove the folder and run dvc repro"):
        request(data).read(tmp_path / "f", toy.CPU)
    request(data).write(tmp_path / "f", toy.CPU)
    request(data).read(tmp_path / "f", toy.CPU)
