"""How often each class occurs in the target, estimated without its labels."""

import torch
from torch import Tensor

ITERATIONS = 1000
ENOUGH = 1e-6
"""A change of every share below it ends the iteration."""


def estimate(probabilities: Tensor, prior: Tensor) -> Tensor:
    """The target's class shares, k float, by expectation maximisation (Saerens et al., Neural Computation 2002).

    probabilities: N×k float, of a model for the target's pictures. prior: k float, the shares that the model was
    trained with. They are right where the classes look alike in both domains and the probabilities are calibrated. A
    class without a prior keeps the share 0, and so does one that less than half a picture would be of.
    """
    posterior, prior = probabilities.double(), prior.double()
    shares = prior
    for _ in range(ITERATIONS):
        weighted = posterior * torch.where(prior > 0, shares / prior.clamp(min=1e-12), 0.0)
        before, shares = shares, (weighted / weighted.sum(dim=1, keepdim=True).clamp(min=1e-12)).mean(dim=0)
        if bool((shares - before).abs().max() < ENOUGH):
            break
    # The iteration only comes near to 0: less than half a picture is none.
    return torch.where(shares * len(posterior) < 0.5, 0.0, shares).float()
