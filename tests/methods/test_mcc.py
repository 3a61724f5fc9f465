"""Minimum class confusion against the definition, entry by entry."""

import numpy as np
import pytest
import torch
from scipy.special import softmax
from scipy.stats import entropy
from torch.nn import functional as F

from pipeline.methods.mcc import Mcc, class_confusion
from pipeline.methods.parts.two_domains import Domains
from tests.methods.toy import LABELS, method

pytestmark = pytest.mark.slow  # the toy source model is trained first

LOGITS = torch.randn(9, 7, generator=torch.Generator().manual_seed(0)) * 3


def confusion(logits: np.ndarray, temperature: float) -> float:
    """Eqs. 3 to 7 of the paper by loops."""
    count, classes = logits.shape
    p = softmax(logits / temperature, axis=1)
    w = 1 + np.exp(-entropy(p, axis=1))
    w = count * w / w.sum()
    matrix = np.zeros((classes, classes))
    for i in range(count):
        for j in range(classes):
            for k in range(classes):
                matrix[j, k] += w[i] * p[i, j] * p[i, k]
    off = [matrix[j, k] / matrix[j].sum() for j in range(classes) for k in range(classes) if j != k]
    return float(sum(off) / classes)


@pytest.mark.parametrize("temperature", [1.0, 2.5])
def test_class_confusion_is_that_of_the_definition(temperature: float) -> None:
    found = class_confusion(LOGITS, temperature).item()
    assert found == pytest.approx(confusion(LOGITS.numpy(), temperature), rel=1e-5)


def test_sure_predictions_confuse_nothing_and_none_all() -> None:
    assert class_confusion(100.0 * torch.eye(7), 2.5).item() == pytest.approx(0.0, abs=1e-6)
    assert class_confusion(torch.zeros(5, 7), 2.5).item() == pytest.approx(6 / 7)


def test_classes_that_do_not_occur_do_not_count() -> None:
    task = method("mcc", known=(0, 2, 5), weight=0.5)
    assert isinstance(task, Mcc)
    z = F.normalize(torch.randn(28, 32, generator=torch.Generator().manual_seed(0))).requires_grad_()
    found = task.losses(Domains(z, LABELS[:28], z, torch.arange(28), z, 0.0))["confusion"]
    logits = (z @ task.prototypes.matrix.T).detach().numpy()[:, [0, 2, 5]]
    assert found.item() == pytest.approx(0.5 * confusion(logits, 2.5), rel=1e-5)
    (gradient,) = torch.autograd.grad(found, z)
    assert bool(gradient.isfinite().all())
