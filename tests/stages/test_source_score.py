"""The source model on its own source: by the source's shares of the classes, whatever weights and adjustment it has."""

import pytest
import torch

from pipeline.config.section import Balance, ClassWeights
from pipeline.losses.classification import source_weights
from pipeline.networks.network import Decision
from stages.prototypes import by_own_shares


@pytest.mark.parametrize("form", ["none", "printed", "balanced"])
@pytest.mark.parametrize("strength", [0.0, 0.5, 1.0])
def test_own_shares_are_those_of_the_labels(form: ClassWeights, strength: float) -> None:
    """Bayes' rule is the reference: a training with weighted classes ends at likelihood × share × weight."""
    torch.manual_seed(0)
    counts = torch.tensor([40, 3, 0, 25, 10, 12, 10])
    labels = torch.repeat_interleave(torch.arange(7), counts)
    _, trained = source_weights(labels, form, Balance())
    likelihood = torch.rand(50, 7)
    decision = Decision()
    decision.adjust(trained, strength)
    found = decision((likelihood * trained).log())

    own = by_own_shares(decision, found, trained, labels)

    expected = likelihood * counts
    torch.testing.assert_close(own, expected / expected.sum(dim=1, keepdim=True))
