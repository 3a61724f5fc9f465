"""The exponential moving average of modules over a training's steps: steadier than its last step."""

import copy
from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn


class Average:
    """weights ← decay · weights + (1 − decay) · the trained ones, after each step; statistics of batch norms, too.

    It starts from what the modules are now (Tarvainen and Valpola, NeurIPS 2017). Make it before they are set up for
    several processes or compiled: it copies them.

    Attributes:
        decay: at most this.
    """

    def __init__(self, modules: Mapping[str, nn.Module], decay: float, statistics: bool = True) -> None:
        """Copy the modules.

        Args:
            modules: those that are trained, by name.
            decay: of the average; with 0 it is the trained modules themselves.
            statistics: whether those of batch norms are averaged; else they are the average's own, of what it is given
                in training mode.
        """
        self._tensors = _tensors if statistics else _weights
        self._trained = nn.ModuleDict(modules)
        self._average = copy.deepcopy(self._trained) if decay else None
        self.decay = decay

    def __getitem__(self, name: str) -> nn.Module:
        """The module of that name, averaged."""
        return (self._trained if self._average is None else self._average).get_submodule(name)

    @torch.no_grad()
    def update(self, step: int | None = None) -> None:
        """Take in what a step has made of the modules; a GPU is not waited for.

        Args:
            step: how many steps were made before this one, where the modules began from random weights: the decay is
                then at most (1 + step) / (10 + step), so that these are soon forgotten (as TensorFlow's average does).
        """
        if self._average is None:
            return
        decay = self.decay if step is None else min(self.decay, (1 + step) / (10 + step))
        pairs = list(zip(self._tensors(self._average), self._tensors(self._trained), strict=True))
        averaged, trained = zip(*(pair for pair in pairs if pair[0].is_floating_point()), strict=True)
        get_ema_multi_avg_fn(decay)(list(averaged), list(trained), 0)
        for count, now in pairs:
            if not count.is_floating_point():  # how many batches a norm has seen
                count.copy_(now)

    def parts(self) -> dict[str, nn.Module]:
        """Return what resuming needs, by name."""
        return {} if self._average is None else {"average": self._average}


def _tensors(modules: nn.Module) -> list[Tensor]:
    return [*modules.parameters(), *modules.buffers()]


def _weights(modules: nn.Module) -> list[Tensor]:
    return [*modules.parameters()]
