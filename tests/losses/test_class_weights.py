"""Class weights (eq. 13 and others) on cases worked by hand, and of no labels."""

import numpy as np
import pytest
import torch
from sklearn.utils.class_weight import compute_class_weight

from pipeline.config.section import Balance, ClassWeights
from pipeline.losses.classification import class_shares, class_weights


def test_class_weights_by_hand() -> None:
    labels = torch.tensor([0] * 5 + [1] * 3 + [2] * 2)
    printed = class_weights(class_shares(labels), "printed", code_power=2)
    torch.testing.assert_close(printed, torch.tensor([0.75, 0.91, 0.96, 1.0, 1.0, 1.0, 1.0]))
    code = class_weights(class_shares(labels), "code", code_power=2)
    torch.testing.assert_close(code, torch.tensor([0.25, 0.49, 0.64, 1.0, 1.0, 1.0, 1.0]))
    linear = class_weights(class_shares(labels), "code", code_power=1)
    torch.testing.assert_close(linear, torch.tensor([0.5, 0.7, 0.8, 1.0, 1.0, 1.0, 1.0]))


def test_balanced_weights_are_scikit_learns_up_to_the_cap() -> None:
    counts = [100, 50, 20, 5, 0, 2, 1]
    labels = torch.arange(7).repeat_interleave(torch.tensor(counts))
    expected = compute_class_weight("balanced", classes=np.unique(labels), y=labels.numpy())
    found = class_weights(class_shares(labels), "balanced", 2, Balance(cap=1e6))
    torch.testing.assert_close(found[found != 1.0], torch.tensor(expected, dtype=torch.float32))
    assert found[4] == 1.0  # does not occur
    # Every class weighs the same in all.
    total = found * torch.tensor(counts)
    torch.testing.assert_close(total[total > 0], torch.full((6,), sum(counts) / 6))
    capped = class_weights(class_shares(labels), "balanced", 2, Balance(cap=8.0))
    torch.testing.assert_close(capped, found.clamp(max=8.0))
    rooted = class_weights(class_shares(labels), "balanced", 1, Balance(exponent=0.5, cap=1e6))
    torch.testing.assert_close(rooted[found != 1.0], found[found != 1.0].sqrt())
    flat = class_weights(class_shares(labels), "balanced", 1, Balance(exponent=0.0))
    torch.testing.assert_close(flat, torch.ones(7))


@pytest.mark.parametrize("form", ["printed", "code", "balanced", "none"])
def test_class_weights_of_no_labels_are_one(form: ClassWeights) -> None:
    weights = class_weights(class_shares(torch.empty(0, dtype=torch.int64)), form, code_power=2)
    assert torch.equal(weights, torch.ones(7))


def test_no_weights_is_one_for_all() -> None:
    assert torch.equal(class_weights(class_shares(torch.tensor([0, 0, 1])), "none", code_power=2), torch.ones(7))
