"""DT: the source model is transferred directly, M_t = M_s and no training (paper, sec. 4.3)."""

from typing import Any, ClassVar

from torch import Tensor

from pipeline.methods.base import Method
from pipeline.training import Epoch


class DirectTransfer(Method):
    """No epochs, so ``fit`` calls none of the training functions."""

    name: ClassVar[str] = "dt"

    def __post_init__(self) -> None:
        super().__post_init__()
        self.epochs = 0

    def begin_epoch(self, epoch: int) -> Epoch:
        """Never called: there are no epochs."""
        return Epoch(iter(()), 0, 0, {})

    def step(self, batch: Any, progress: float) -> dict[str, Tensor]:
        """Never called: there are no batches."""
        return {}

    def state(self) -> dict[str, Any]:
        """Nothing to resume."""
        return {}

    def restore(self, state: dict[str, Any]) -> None:
        """Nothing to resume."""
