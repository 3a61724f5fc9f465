"""DT: the source model is transferred directly, M_t = M_s and no training (paper, sec. 4.3)."""

from typing import Any

from torch import Tensor

from pipeline.methods.parts.base import Method
from pipeline.training.loop import Epoch


class DirectTransfer(Method):
    """It has no epochs, so ``fit`` calls none of the training functions."""

    def prepare(self) -> None:
        self.model = self.source_model

    def begin_epoch(self, epoch: int) -> Epoch:
        raise NotImplementedError

    def step(self, batch: Any, progress: float) -> dict[str, Tensor]:
        raise NotImplementedError
