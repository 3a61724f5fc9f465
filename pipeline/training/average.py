"""The exponential moving average of modules over training steps, which varies less than the last step."""

import copy
from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn


class Average:
    """Exponential moving average: weights ← decay · weights + (1 − decay) · trained weights, after each step.

    By default it also averages the statistics of batch norms. It starts from the present state of the modules
    (Tarvainen and Valpola, NeurIPS 2017). Create it before they are set up for several processes or compiled, because
    it copies them.

    Attributes:
        decay: maximum decay.
    """

    def __init__(self, modules: Mapping[str, nn.Module], decay: float, statistics: bool = True) -> None:
        """Copy the modules.

        Args:
            modules: the modules that are trained, by name.
            decay: decay of the average; 0: no average, only the trained modules.
            statistics: whether to average the statistics of batch norms. False: the average's batch norms keep
                statistics of their own, of the inputs that they get in training mode.
        """
        self._tensors = _tensors if statistics else _weights
        self._trained = nn.ModuleDict(modules)
        self._average = copy.deepcopy(self._trained) if decay else None
        self.decay = decay

    def __getitem__(self, name: str) -> nn.Module:
        """Return the averaged module of that name."""
        return (self._trained if self._average is None else self._average).get_submodule(name)

    @torch.no_grad()
    def update(self, step: int | None = None) -> None:
        """Update the average after a training step, without waiting for the GPU.

        Args:
            step: number of earlier steps, if training started from random weights. The decay is then at most
                (1 + step) / (10 + step), so that the average soon forgets them (as in TensorFlow).
        """
        if self._average is None:
            return
        decay = self.decay if step is None else min(self.decay, (1 + step) / (10 + step))
        pairs = list(zip(self._tensors(self._average), self._tensors(self._trained), strict=True))
        averaged, trained = zip(*(pair for pair in pairs if pair[0].is_floating_point()), strict=True)
        get_ema_multi_avg_fn(decay)(list(averaged), list(trained), 0)
        for count, now in pairs:
            if not count.is_floating_point():  # a batch norm's count of batches
                count.copy_(now)

    def parts(self) -> dict[str, nn.Module]:
        """Return the modules that a resumed training needs, by name."""
        return {} if self._average is None else {"average": self._average}


def _tensors(modules: nn.Module) -> list[Tensor]:
    return [*modules.parameters(), *modules.buffers()]


def _weights(modules: nn.Module) -> list[Tensor]:
    return [*modules.parameters()]
