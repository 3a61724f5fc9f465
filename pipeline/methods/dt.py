"""DT, direct transfer: the source model unchanged, M_t = M_s (paper, sec. 4.3)."""

from typing import Any

from torch import Tensor

from pipeline.methods.parts.base import Method
from pipeline.training.loop import Epoch


class DirectTransfer(Method):
    """A method with 0 epochs: ``fit`` calls neither ``begin_epoch`` nor ``step``."""

    def prepare(self) -> None:
        self.model = self.source_model

    def begin_epoch(self, epoch: int) -> Epoch:
        raise NotImplementedError

    def step(self, batch: Any, progress: float) -> dict[str, Tensor]:
        raise NotImplementedError
