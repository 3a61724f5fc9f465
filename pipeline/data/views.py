"""Training views of the pictures of a batch: two per picture for contrastive losses, else one."""

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
        count: number of pictures in the whole team's batch.
        stored: this process's part of the batch, b×… on the device, a result of ``NetworkInputs.batch``.
        draws: the random numbers of the views, on the CPU: first those of the first views, then those of the second.
    """

    count: int
    stored: Tensor
    draws: Tensor


class Views:
    """Makes training views of the pictures of one domain.

    Args:
        inputs: all network inputs of the domain.
        params: parameters of the views.
        team: the processes that share each batch.
        views: number of views per picture.
    """

    def __init__(self, inputs: NetworkInputs, params: AugmentParams, team: Team, views: int = 2) -> None:
        self._inputs, self._params, self._team, self._views = inputs, params, team, views

    def pictures(self, rows: Tensor, generator: torch.Generator) -> Pictures:
        """Fetch the pictures of a step and draw the random numbers of their views.

        Args:
            rows: rows of the whole team's batch, int64, on the CPU.
            generator: draws the random numbers.

        Raises:
            ParamsError: there are fewer pictures than processes.
        """
        if len(rows) < self._team.size:
            raise ParamsError(
                f"compute.devices: {self._team.size} processes cannot share a batch of {len(rows)} pictures"
            )
        own = self._team.part(len(rows))
        # Every process draws for all pictures, so that the random numbers do not depend on the number of processes.
        draws = self._inputs.draw(self._views, len(rows), generator)[:, own].flatten(0, 1)
        return Pictures(len(rows), self._inputs.batch(rows[own]), draws)

    def views(self, pictures: Pictures) -> Tensor:
        """Return all views of the pictures, to be computed in one pass.

        Returns:
            Network inputs, float views·b×…: the first view of each picture, then the second views.
        """
        return self._inputs.training_views(pictures.stored, pictures.draws, self._params)

    def empty_batch(self) -> Tensor:
        """Return an empty batch of network inputs."""
        return self._inputs.empty_batch()
