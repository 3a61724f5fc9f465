"""AGRA's graphs: a face's features beside those of its like in the other domain, and what passes between them.

A picture's features are a holistic one and five local ones (``pipeline.methods.parts.regions``), each of ``width``; the
six are a domain's nodes. Xie et al., ACM MM 2020, secs. 3.2 and 3.3, and the released code.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pipeline.labels import NUM_CLASSES
from pipeline.methods.parts.regions import REGIONS

NODES = 1 + REGIONS
"""Of a domain: the holistic feature, then the local ones."""

HOLISTIC_LOCAL, LOCAL_LOCAL = 0.8, 0.5
"""Links within a domain to begin with."""

SAME_PLACE, HOLISTIC_LOCAL_ACROSS, LOCAL_LOCAL_ACROSS = 0.9, 0.4, 0.25
"""Links between the domains to begin with."""


class Means(nn.Module):
    """The statistics of one domain: the mean features of its clusters, and how the domain's features are normalised.

    means: k×n float, k clusters of features of length n; they move by ``momentum`` to the mean of those features that
    came nearest to them, as soon as there are more than ``gathered`` of these.
    """

    means: Tensor
    sums: Tensor
    counts: Tensor

    def __init__(self, length: int, momentum: float, gathered: int) -> None:
        super().__init__()
        self.momentum, self.gathered = momentum, gathered
        self.norm = nn.BatchNorm1d(length)
        self.register_buffer("means", torch.zeros(NUM_CLASSES, length))
        self.register_buffer("sums", torch.zeros(NUM_CLASSES, length))
        self.register_buffer("counts", torch.zeros(NUM_CLASSES))

    @torch.no_grad()
    def restart(self, means: Tensor, features: Tensor) -> None:
        """Begin anew from ``means`` (k×n) of ``features`` (N×n), by which the domain is also normalised from now on."""
        self.means.copy_(means)
        self.sums.zero_()
        self.counts.zero_()
        assert self.norm.running_mean is not None
        assert self.norm.running_var is not None
        self.norm.running_mean.copy_(features.mean(dim=0))
        self.norm.running_var.copy_(features.var(dim=0, correction=0))

    @torch.no_grad()
    def follow(self, features: Tensor) -> None:
        """Take a batch of the domain's features in: N×n float."""
        members = F.one_hot(self.nearest(features), NUM_CLASSES).to(features.dtype)
        self.sums += members.T @ features
        self.counts += members.sum(dim=0)
        full = (self.counts > self.gathered)[:, None]
        moved = torch.lerp(self.means, self.sums / self.counts.clamp(min=1.0)[:, None], self.momentum)
        self.means.copy_(torch.where(full, moved, self.means))
        self.sums.masked_fill_(full, 0.0)
        self.counts.masked_fill_(full[:, 0], 0.0)

    @torch.no_grad()
    def nearest(self, features: Tensor) -> Tensor:
        """The cluster whose mean is nearest to each of ``features`` (N×n): N int64."""
        return torch.cdist(features, self.means, compute_mode="donot_use_mm_for_euclid_dist").argmin(dim=1)

    def like(self, features: Tensor) -> Tensor:
        """The mean that is nearest to each of ``features`` (N×n, of the other domain), normalised: N×n."""
        norm = self.norm
        assert norm.running_mean is not None
        assert norm.running_var is not None
        # By the running statistics: a batch of a few means has none of its own.
        known = F.batch_norm(self.means, norm.running_mean.clone(), norm.running_var.clone(), norm.weight, norm.bias)
        return known[self.nearest(features)]


class Propagation(nn.Module):
    """Two graph convolutions within each domain, then one between them (eqs. 3 to 6): N×12×width in and out.

    Nodes: the source's six, then the target's. Links are learned, but never below 0, and those to a node sum to 1.
    """

    across_only: Tensor

    def __init__(self, width: int) -> None:
        super().__init__()
        self.inner = nn.Linear(width, 2 * width)
        self.outer = nn.Linear(2 * width, width)
        self.between = nn.Linear(width, width)
        for layer in (self.inner, self.outer, self.between):
            nn.init.xavier_normal_(layer.weight)
            nn.init.zeros_(layer.bias)
        within, across = _links()
        self.within, self.across = nn.Parameter(within), nn.Parameter(across)
        self.register_buffer("across_only", (across > 0).float())

    def forward(self, nodes: Tensor, kept: Tensor | None = None) -> Tensor:
        """``kept``: N×12×(2·width), 0 where an inner feature is left out, else above 1 by as much; None: all stay."""
        within, across = shares(self.within), shares(self.across * self.across_only)
        domains = nodes.unflatten(1, (2, NODES))
        inner = F.relu(within @ self.inner(domains))
        if kept is not None:
            inner = inner * kept.unflatten(1, (2, NODES))
        outer = within @ self.outer(inner)
        propagated: Tensor = across @ self.between(outer.flatten(1, 2))
        return propagated


def shares(links: Tensor) -> Tensor:
    """Links that are not negative and sum to 1 in each row."""
    positive = links.clamp(min=0.0)
    return positive / positive.sum(dim=1, keepdim=True).clamp(min=1e-12)


def _links() -> tuple[Tensor, Tensor]:
    """Within a domain 6×6, and between the domains 12×12."""
    within = torch.full((NODES, NODES), LOCAL_LOCAL)
    within[0, :] = within[:, 0] = HOLISTIC_LOCAL
    within.fill_diagonal_(1.0)
    other = torch.full((NODES, NODES), LOCAL_LOCAL_ACROSS)
    other[0, :] = other[:, 0] = HOLISTIC_LOCAL_ACROSS
    other.fill_diagonal_(SAME_PLACE)
    none = torch.zeros_like(other)
    return within, torch.cat([torch.cat([none, other], 1), torch.cat([other, none], 1)]).fill_diagonal_(1.0)
