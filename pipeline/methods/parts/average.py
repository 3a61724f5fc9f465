"""The exponential moving average of modules over a training's steps: steadier than its last step."""

from collections.abc import Mapping

import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn


class Average:
    """weights ← decay · weights + (1 − decay) · the trained ones, after each step; statistics of batch norms, too.

    (Tarvainen and Valpola, NeurIPS 2017.) With decay 0 it is the trained modules themselves. Make it before the modules
    are set up for several processes or compiled: it copies them.
    """

    def __init__(self, modules: Mapping[str, nn.Module], decay: float) -> None:
        self._trained = nn.ModuleDict(modules)
        self._average = (
            AveragedModel(self._trained, multi_avg_fn=get_ema_multi_avg_fn(decay), use_buffers=True) if decay else None
        )

    def __getitem__(self, name: str) -> nn.Module:
        """The module of that name, averaged."""
        return (self._trained if self._average is None else self._average.module).get_submodule(name)

    @torch.no_grad()
    def update(self) -> None:
        """Take a step's result in."""
        if self._average is not None:
            self._average.update_parameters(self._trained)

    def parts(self) -> dict[str, nn.Module]:
        """What resuming needs, by name."""
        return {} if self._average is None else {"average": self._average}
