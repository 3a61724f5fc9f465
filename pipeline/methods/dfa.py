"""DFA: align the domains' means ("gist"), make classes compact and separate (Zhu, Sang and Zhao, ICB 2016)."""

import torch
from torch import Tensor
from torch.nn import functional as F

from pipeline.config.methods.dfa import DfaParams
from pipeline.labels import NUM_CLASSES
from pipeline.methods.parts.two_domains import Domains, TwoDomains


class Dfa(TwoDomains):
    """A Gaussian kernel of z compares the domains' means, and pictures within and between the source's classes."""

    params: DfaParams

    def losses(self, batch: Domains) -> dict[str, Tensor]:
        intra, inter = class_likeness(batch.source, batch.labels)
        gist = likeness(batch.source.mean(dim=0, keepdim=True), batch.target.mean(dim=0, keepdim=True)).squeeze()
        return {
            "source": self.supervised(batch),
            "domain": self.params.gist * (1.0 - gist),
            "intra": self.params.intra * (1.0 - intra),
            "inter": self.params.inter * inter,
        }


def likeness(x: Tensor, y: Tensor) -> Tensor:
    """Return exp(−‖a − b‖² / 2) for all pairs: S×d and T×d float in, S×T out."""
    squared = x.square().sum(dim=1)[:, None] + y.square().sum(dim=1)[None, :] - 2.0 * x @ y.T
    return torch.exp(-squared.clamp(min=0.0) / 2.0)


def class_likeness(z: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Return the mean similarity of pictures within and between classes.

    Args:
        z: N×d float.
        labels: N int64.

    Returns:
        Within: the mean over pairs of one class, then over the classes with a pair (1 if there is none). Between: the
        mean over pairs of different classes (0 if there is none). Both are scalars.
    """
    kernel, member = likeness(z, z), F.one_hot(labels, NUM_CLASSES).to(z.dtype)
    counts = member.sum(dim=0)
    within = (member * (kernel @ member)).sum(dim=0) - counts  # without each picture's similarity to itself, 1
    pairs = counts * (counts - 1)
    paired = pairs > 0
    intra = torch.where(paired, within / pairs.clamp(min=1), 0.0).sum() / paired.sum().clamp(min=1)
    unlike = labels[:, None] != labels[None, :]
    inter = (kernel * unlike).sum() / unlike.sum().clamp(min=1)
    return torch.where(paired.any(), intra, torch.ones_like(intra)), inter
