"""What holds for every backbone of the registry that is one network."""

import pytest
import torch

from pipeline.backbones import BACKBONES, Backbone
from pipeline.backbones.parts.entry import CROPS

pytestmark = pytest.mark.slow

NETWORKS = [entry for entry in BACKBONES.values() if isinstance(entry, Backbone)]


@pytest.mark.parametrize("entry", NETWORKS, ids=lambda entry: entry.name)
@torch.no_grad()
def test_a_picture_has_the_announced_features_whatever_stands_beside_it(entry: Backbone) -> None:
    assert "none" in entry.weights
    network = entry.build("none").eval()
    for side in {entry.sizes.start, CROPS} & set(entry.sizes):
        images = torch.rand(2, 3, side, side)
        found = network(images)
        assert found.shape == (2, entry.width(network))
        assert bool(found.isfinite().all())
        torch.testing.assert_close(network(images[:1]), found[:1], rtol=1e-3, atol=1e-4)
