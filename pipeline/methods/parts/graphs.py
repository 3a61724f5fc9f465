"""AGRA's graphs: a face's features beside those of its like in the other domain, and what passes between them.

A picture's features are a holistic one and five local ones (``pipeline.methods.parts.regions``), 64 numbers each; the
six are a domain's nodes (Xie et al., ACM MM 2020). Sizes and links are those of the released code.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pipeline.labels import NUM_CLASSES
from pipeline.methods.parts.regions import REGIONS, WIDTH

NODES = 1 + REGIONS
"""Of a domain: the holistic feature, then the local ones."""

INNER = 128
"""Features of a node between the two convolutions within its domain."""

HOLISTIC_LOCAL, LOCAL_LOCAL = 0.8, 0.5
"""Links within a domain to begin with."""

SAME_PLACE, HOLISTIC_LOCAL_ACROSS, LOCAL_LOCAL_ACROSS = 0.9, 0.4, 0.25
"""Links between the domains to begin with."""


class Means(nn.Module):
    """The statistics of one domain: the mean features of its clusters, and how the domain's features are normalised.

    means: k×n float, k clusters of features of length n. sums, counts: of what came nearest to each of them since it
    moved last, k×n and k float.
    """

    means: Tensor
    sums: Tensor
    counts: Tensor

    def __init__(self) -> None:
        super().__init__()
        length = NODES * WIDTH
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
    def follow(self, features: Tensor, momentum: float, gathered: int) -> None:
        """Take a batch of the domain's features in: N×n float.

        A mean goes by ``momentum`` to that of its new features as soon as there are more than ``gathered`` of them.
        """
        members = F.one_hot(self.nearest(features), NUM_CLASSES).to(features.dtype)
        self.sums += members.T @ features
        self.counts += members.sum(dim=0)
        full = (self.counts > gathered)[:, None]
        moved = torch.lerp(self.means, self.sums / self.counts.clamp(min=1.0)[:, None], momentum)
        self.means.copy_(torch.where(full, moved, self.means))
        self.sums.masked_fill_(full, 0.0)
        self.counts.masked_fill_(full[:, 0], 0.0)

    @torch.no_grad()
    def nearest(self, features: Tensor) -> Tensor:
        """The cluster whose mean is nearest to each of ``features`` (N×n): N int64."""
        return (features[:, None] - self.means).square().sum(dim=2).argmin(dim=1)

    def like(self, features: Tensor) -> Tensor:
        """The mean that is nearest to each of ``features`` (N×n, of the other domain), normalised: N×n."""
        norm = self.norm
        assert norm.running_mean is not None
        assert norm.running_var is not None
        # By the running statistics: a batch of a few means has none of its own.
        known = F.batch_norm(self.means, norm.running_mean.clone(), norm.running_var.clone(), norm.weight, norm.bias)
        return known[self.nearest(features)]


class Propagation(nn.Module):
    """Two graph convolutions within each domain, then one between them: N×12×64 in and out.

    Nodes: the source's six, then the target's. Links are learned, but never below 0, and those to a node sum to 1.
    """

    across_only: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Linear(WIDTH, INNER)
        self.outer = nn.Linear(INNER, WIDTH)
        self.between = nn.Linear(WIDTH, WIDTH)
        for layer in (self.inner, self.outer, self.between):
            nn.init.xavier_normal_(layer.weight)
            nn.init.zeros_(layer.bias)
        within, across = _links()
        self.within, self.across = nn.Parameter(within), nn.Parameter(across)
        self.register_buffer("across_only", (across > 0).float())

    def forward(self, nodes: Tensor, kept: Tensor | None = None) -> Tensor:
        """``kept``: N×12×128, 0 where an inner feature is left out, else above 1 by as much; None: all stay."""
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
