"""AdaBN: the source model with the target's statistics in its batch norms (Li et al., ICLR 2017 workshops)."""

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from pipeline.config.methods.adabn import AdabnParams
from pipeline.data.batches import generator_for, shuffled_batches
from pipeline.methods.parts.base import Method
from pipeline.training.loop import Epoch


class Adabn(Method):
    """Batch-norm statistics become the mean over all target batches so far, of evaluation views. No weight changes."""

    params: AdabnParams

    def prepare(self) -> None:
        self.model, self.network = self.source_model, self.source_model.network
        self._embed = self.team.setup(self.network)
        self._norms = [m for m in self.network.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
        self._seen = 0
        self.parts = {"model": self.model}

    def begin_epoch(self, epoch: int) -> Epoch:
        self.predict_target()
        generator = generator_for(self.seed, self.name, epoch)
        size, rows = self.params.batch_size, self.target.train_rows
        steps = self.params.steps_per_epoch or max(1, len(rows) // size)
        self._seen = epoch * steps
        return Epoch(self._batches(shuffled_batches(rows, size, steps, generator)), steps, steps * size, {})

    def _batches(self, draws: Iterator[Tensor]) -> Iterator[tuple[Tensor, int]]:
        """Yield this process's stored pictures, and the size of the whole team's batch."""
        for rows in draws:
            yield self.target.inputs.batch(rows[self.team.part(len(rows))]), len(rows)

    @torch.no_grad()
    def step(self, batch: tuple[Tensor, int], progress: float) -> dict[str, Tensor]:
        """Update the statistics with one batch.

        Args:
            batch: this process's stored pictures, and the size of the whole team's batch.
            progress: not used.

        Returns:
            ``loss``: mean entropy of the batch's predictions, which is not minimised.
        """
        self._seen += 1
        for norm in self._norms:
            norm.momentum = 1.0 / self._seen  # the first batch replaces the source's statistics, the n-th counts 1/n
        self.network.train()
        stored, count = batch
        z = self._embed(self.target.inputs.evaluation_view(stored, self.augment_params.eval_crop))
        probabilities = self.source_model.decision(self.source_model.prototypes(self.team.gather(z, count)))
        return {"loss": torch.special.entr(probabilities).sum(dim=1).mean()}
