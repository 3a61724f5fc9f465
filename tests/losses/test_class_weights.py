"""Class weights (eq. 13) on cases worked by hand, and of no labels."""

import pytest
import torch

from pipeline.config.section import ClassWeights
from pipeline.losses.classification import class_weights


def test_class_weights_by_hand() -> None:
    labels = torch.tensor([0] * 5 + [1] * 3 + [2] * 2)
    printed = class_weights(labels, "printed", code_power=2)
    torch.testing.assert_close(printed, torch.tensor([0.75, 0.91, 0.96, 1.0, 1.0, 1.0, 1.0]))
    code = class_weights(labels, "code", code_power=2)
    torch.testing.assert_close(code, torch.tensor([0.25, 0.49, 0.64, 1.0, 1.0, 1.0, 1.0]))
    linear = class_weights(labels, "code", code_power=1)
    torch.testing.assert_close(linear, torch.tensor([0.5, 0.7, 0.8, 1.0, 1.0, 1.0, 1.0]))


@pytest.mark.parametrize("form", ["printed", "code", "none"])
def test_class_weights_of_no_labels_are_one(form: ClassWeights) -> None:
    weights = class_weights(torch.empty(0, dtype=torch.int64), form, code_power=2)
    assert torch.equal(weights, torch.ones(7))


def test_no_weights_is_one_for_all() -> None:
    assert torch.equal(class_weights(torch.tensor([0, 0, 1]), "none", code_power=2), torch.ones(7))
