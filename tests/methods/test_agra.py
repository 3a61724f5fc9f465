"""AGRA's regions, graphs and statistics against plain loops, and the model that it ends with."""

import copy
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.distributions import Categorical
from torch.nn import functional as F

from pipeline.backbones import BACKBONES, Backbone
from pipeline.config.learning import ModelParams
from pipeline.data.augment import evaluation_view, to_float
from pipeline.errors import ParamsError
from pipeline.faces.crop import crop_box, region
from pipeline.faces.mtcnn import MTCNN
from pipeline.methods.agra import (
    INNER,
    NODES,
    WIDTH,
    Agra,
    AgraClassifier,
    DomainMeans,
    Landmarks,
    Propagation,
    Regions,
    WithRegions,
    fine_layer,
    link_shares,
    regions,
)
from pipeline.networks import saved, trained
from pipeline.networks.network import Encoder, Network
from tests.compute.team_steps import start
from tests.faces.scenes import dimmed, photograph
from tests.methods.toy import ROWS, method
from tests.models import ADAPTED
from tests.tasks import MODEL, adaptation

CPU = torch.device("cpu")


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("picture", [photograph(), dimmed(photograph())], ids=["as it is", "mirrored and dark"])
@pytest.mark.parametrize("side", [1.0, 0.85])
def test_landmarks_lie_in_a_view_where_mtcnn_sees_them_in_the_picture(picture: np.ndarray, side: float) -> None:
    """To 4 of 112 pixels, the width of one place of the regions."""
    found = MTCNN(40, 0.709, (0.6, 0.7, 0.7), CPU).detect([picture])[0]
    x1, y1, x2, y2 = (float(value) for value in found.boxes[0])
    left, top, right, bottom = region((x1, y1, x2, y2), 0.0, picture.shape[1], picture.shape[0])
    in_crop = (found.landmarks[0] + 0.5 - [left, top]) / [right - left, bottom - top]
    expected = torch.from_numpy((in_crop - (1 - side) / 2) / side).float()
    pixels = torch.from_numpy(crop_box(picture, (x1, y1, x2, y2), 0.0)).permute(2, 0, 1)[None]
    landmarks = Landmarks()
    landmarks.load()
    shown = landmarks(evaluation_view(to_float(pixels), side))
    assert ((shown[0] - expected).norm(dim=1) < 4 / 112).all(), 112 * (shown[0] - expected)
    assert all(not parameter.requires_grad for parameter in landmarks.parameters())


def test_a_region_is_seven_places_square_around_its_landmark_and_stays_in_the_picture() -> None:
    features = normal(2, 3, 28, 28)
    centres = torch.tensor([[3, 3], [24, 3], [14, 10], [9, 24], [-2, 40]])  # columns and rows; the last is outside
    landmarks = ((centres + 0.5) / 28).expand(2, 5, 2)
    found = regions(features, landmarks)
    assert found.shape == (2, 5, 3, 7, 7)
    for place, (column, row) in enumerate(centres.clamp(3, 24).tolist()):
        expected = features[:, :, row - 3 : row + 4, column - 3 : column + 4]
        torch.testing.assert_close(found[:, place], expected, atol=1e-4, rtol=0)


@pytest.mark.parametrize(
    ("backbone", "layer", "channels"),
    [("resnet10", "1", 32), ("resnet18", "layer1", 64), ("iresnet50", "layer2", 128)],
)
def test_the_feature_map_is_the_last_fine_one(backbone: str, layer: str, channels: int) -> None:
    """Of iresnet50, the published network, it is the published layer."""
    encoder = Encoder(ModelParams(backbone=backbone, weights="none", projection_hidden=8, projection_dim=8))
    before = {key: value.clone() for key, value in encoder.state_dict().items()}
    assert fine_layer(encoder) == (layer, channels)
    assert encoder.training
    assert all(torch.equal(before[key], value) for key, value in encoder.state_dict().items())


def test_a_backbone_without_feature_maps_is_refused() -> None:
    flat = Backbone("flat", "Flat", 8, lambda _: nn.Sequential(nn.Flatten(), nn.Linear(3 * 112 * 112, 8)))
    BACKBONES.add(flat)
    try:
        encoder = Encoder(ModelParams(backbone="flat", weights="none", projection_hidden=8, projection_dim=8))
    finally:
        BACKBONES.remove("flat")
    with pytest.raises(ParamsError, match="no feature map that regions of a face can be taken from"):
        fine_layer(encoder)


def test_z_is_the_networks_and_each_branch_sees_its_own_region() -> None:
    network = Network(MODEL).eval()
    both = WithRegions(network, Regions(network.encoder)).eval()
    images = torch.rand(2, 3, 112, 112, generator=torch.Generator().manual_seed(0))
    assert torch.equal(both(images)[:, :8], network(images))
    features = normal(1, 32, 28, 28).requires_grad_()
    landmarks = torch.tensor([[[0.2, 0.2], [0.8, 0.2], [0.5, 0.5], [0.2, 0.8], [0.8, 0.8]]])
    both.regions(features, landmarks)[:, WIDTH : 2 * WIDTH].sum().backward()  # the second branch
    assert features.grad is not None
    seen = features.grad.abs().sum(dim=(0, 1)).nonzero()
    assert seen[:, 0].max() <= 9  # about row 5.1
    assert seen[:, 1].min() >= 18  # about column 21.9


def weighted(links: Tensor, nodes: list[Tensor]) -> Tensor:
    total = torch.zeros_like(nodes[0])
    for link, node in zip(links, nodes, strict=True):
        total = total + link * node
    return total


def test_graphs_pass_features_on_as_loops_over_nodes_do() -> None:
    graphs, nodes = Propagation(), normal(2, 2 * NODES, WIDTH)
    within, across = link_shares(graphs.within), link_shares(graphs.across * graphs.across_only)
    rows: list[Tensor] = []
    for picture in nodes:
        outer: list[Tensor] = []
        for domain in picture.split(NODES):
            inner = [torch.relu(weighted(within[node], [graphs.inner(other) for other in domain])) for node in range(6)]
            outer += [weighted(within[node], [graphs.outer(other) for other in inner]) for node in range(6)]
        rows += [weighted(across[node], [graphs.between(other) for other in outer]) for node in range(12)]
    torch.testing.assert_close(graphs(nodes), torch.stack(rows).view(2, 12, WIDTH))
    nothing = torch.zeros(2, 12, INNER)
    assert torch.equal(graphs(nodes, nothing)[0], graphs(nodes, nothing)[1])  # all inner features left out


def test_links_begin_as_published_and_stay_shares() -> None:
    graphs = Propagation()
    assert graphs.within[0].tolist() == pytest.approx([1.0, 0.8, 0.8, 0.8, 0.8, 0.8])
    assert graphs.within[2].tolist() == pytest.approx([0.8, 0.5, 1.0, 0.5, 0.5, 0.5])
    assert graphs.across[1].tolist() == pytest.approx([0, 1, 0, 0, 0, 0, 0.4, 0.9, 0.25, 0.25, 0.25, 0.25])
    assert torch.equal(graphs.across, graphs.across.T)
    moved = link_shares((graphs.across - 0.3) * graphs.across_only)
    assert moved.min().item() == 0.0
    torch.testing.assert_close(moved.sum(dim=1), torch.ones(12))
    assert moved[0, 1:6].sum().item() == 0.0  # within a domain nothing passes here but a node to itself


def test_a_mean_moves_when_enough_has_come_near_it() -> None:
    domain = DomainMeans()
    length = NODES * WIDTH
    features = normal(50, length)
    means = 10.0 * torch.eye(7, length)
    domain.restart(means, features)
    near = means[2] + normal(3, length, seed=1) / 10
    domain.update(near, momentum=0.1, gathered=4)
    assert torch.equal(domain.means, means)
    more = torch.cat([means[2] + normal(2, length, seed=2) / 10, means[5:6]])
    domain.update(more, momentum=0.1, gathered=4)
    expected = means.clone()
    expected[2] = 0.9 * means[2] + 0.1 * torch.cat([near, more[:2]]).mean(dim=0)
    torch.testing.assert_close(domain.means, expected)
    assert domain.counts.tolist() == [0, 0, 0, 0, 0, 1, 0]
    torch.testing.assert_close(domain.sums[5], means[5])
    like = domain.nearest_mean(means[[4, 2]] + 1.0)
    normalised = (expected[[4, 2]] - features.mean(dim=0)) / (features.var(dim=0, correction=0) + 1e-5).sqrt()
    torch.testing.assert_close(like, normalised)


@pytest.mark.slow
def test_its_losses_are_cross_entropies_of_scores_and_cdans_on_directions() -> None:
    task = method("agra", weight=2.0, local_weight=0.5, dropout=0.0)
    assert isinstance(task, Agra)
    nn.init.normal_(task.graphs.scores, std=0.1, generator=torch.Generator().manual_seed(0))
    batch = task.embedded(next(task.begin_epoch(0).batches), 0.5)
    graphs, matrix = copy.deepcopy(task.graphs), task.prototypes.matrix  # a pass moves both domains' statistics
    found = task.losses(batch)
    z = batch.source[:, :32], batch.target[:, :32]
    source, target = graphs.features(batch.source), graphs.features(batch.target)
    graphs.source.update(source.detach(), task.params.momentum_of_means, task.params.gathered)
    graphs.target.update(target.detach(), task.params.momentum_of_means, task.params.gathered)
    after = graphs.of_source(source), graphs.of_target(target)
    expected = {
        "source": F.cross_entropy(z[0] @ matrix.T, batch.labels),
        "graphs": F.cross_entropy(after[0] @ graphs.scores.T, batch.labels),
        "local": 0.5 * F.cross_entropy(after[0][:, WIDTH:] @ graphs.local_scores.T, batch.labels),
        "domain": torch.zeros(()),
    }
    for of_one, features, domain in zip(z, after, (1.0, 0.0), strict=True):
        p = Categorical(logits=of_one @ matrix.T + features @ graphs.scores.T)
        joint = torch.einsum("nk,nd->nkd", p.probs, features / features.norm(dim=1, keepdim=True)).flatten(1)
        weights = 1 + torch.exp(-p.entropy().detach())
        guessed = task.own["discriminator"](joint)
        errors = F.binary_cross_entropy_with_logits(guessed, torch.full_like(guessed, domain), weights, reduction="sum")
        expected["domain"] += 2.0 * 0.5 * errors / weights.sum()
    assert found.keys() == expected.keys()
    for term, value in expected.items():
        torch.testing.assert_close(found[term], value, msg=term)


@pytest.mark.slow
def test_it_starts_as_the_source_model() -> None:
    task, plain = method("agra"), method("dt")
    torch.testing.assert_close(task.probabilities(ROWS), plain.probabilities(ROWS))


@pytest.mark.slow
def test_the_average_has_branches_and_graphs_of_its_own_and_what_is_saved_predicts_the_same(tmp_path: Path) -> None:
    task = adaptation("agra", start(1, "float32"), ema=0.5)
    assert isinstance(task, Agra)
    task.step(next(task.begin_epoch(0).batches), 0.5)
    model = task.model.eval()
    assert isinstance(model, AgraClassifier)
    for name, parameter in model.regions.branches.named_parameters():
        assert not torch.equal(parameter, task.regions.branches.get_parameter(name)), name
    assert not torch.equal(model.graphs.scores, task.graphs.scores)
    assert model.graphs.scores.abs().max() > 0
    described = {**ADAPTED, "adapt": {"method": "agra"}}
    saved.save(tmp_path / "agra", task.modules(), described)
    opened = trained.open_model(tmp_path / "agra").model
    images = torch.rand(3, 3, 112, 112, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        assert all(torch.equal(a, b) for a, b in zip(opened.embed(images), model.embed(images), strict=True))
