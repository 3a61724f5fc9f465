"""Training views of every picture of a batch: two where contrastive losses compare them, else one."""

from dataclasses import dataclass

import torch
from torch import Tensor

from pipeline.compute.team import Team
from pipeline.config.learning import AugmentParams
from pipeline.data.batches import NetworkInputs
from pipeline.errors import ParamsError


@dataclass(frozen=True)
class Pictures:
    """The pictures of one step, before they become views.

    Attributes:
        count: of the whole team's batch.
        stored: this process's part of the batch, b×… on the device, as ``NetworkInputs.batch`` gives it.
        draws: what the views leave to chance, on the CPU: that of the first views, then that of the second.
    """

    count: int
    stored: Tensor
    draws: Tensor


class Views:
    """The pictures of one domain, and how training views are made of them.

    Args:
        inputs: all of the domain's.
        params: of the views.
        team: whose batches are divided among its processes.
        views: how many are made of each picture.
    """

    def __init__(self, inputs: NetworkInputs, params: AugmentParams, team: Team, views: int = 2) -> None:
        self._inputs, self._params, self._team, self._views = inputs, params, team, views

    def pictures(self, rows: Tensor, generator: torch.Generator) -> Pictures:
        """Fetch the pictures of a step and draw what their views leave to chance.

        Args:
            rows: of the whole team's batch; int64, on the CPU.
            generator: for the draws.

        Raises:
            ParamsError: there is not one picture for every process of the team.
        """
        if len(rows) < self._team.size:
            raise ParamsError(
                f"compute.devices: {self._team.size} processes cannot share a batch of {len(rows)} pictures"
            )
        own = self._team.part(len(rows))
        # Every process draws for all pictures, so that the draws do not depend on how many processes there are.
        draws = self._inputs.draw(self._views, len(rows), generator)[:, own].flatten(0, 1)
        return Pictures(len(rows), self._inputs.batch(rows[own]), draws)

    def views(self, pictures: Pictures) -> Tensor:
        """All views of the pictures, in one pass.

        Returns:
            Float views·b×…, as the network takes it: the first view of every picture, then the second.
        """
        return self._inputs.training_views(pictures.stored, pictures.draws, self._params)

    def nothing(self) -> Tensor:
        """A batch without pictures, as the network takes it."""
        return self._inputs.nothing()
