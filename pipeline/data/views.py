"""Training views of every picture of a batch: two where contrastive losses compare them, else one."""

from dataclasses import dataclass

import torch
from torch import Tensor

from pipeline.compute.team import Team
from pipeline.config.learning import AugmentParams
from pipeline.data import augment
from pipeline.data.batches import DeviceCrops
from pipeline.errors import ParamsError


@dataclass(frozen=True)
class Pictures:
    """The pictures of one step, before they become views.

    Attributes:
        count: of the whole team's batch.
        crops: this process's part of the batch, uint8 b×3×S×S on the device.
        draws: one row of ``augment.draw`` a view, on the CPU: those of the first views, then those of the second.
    """

    count: int
    crops: Tensor
    draws: Tensor


class Views:
    """The pictures of one domain, and how training views are made of them.

    Args:
        crops: all of the domain's.
        params: of the views.
        team: whose batches are divided among its processes.
        views: how many are made of each picture.
    """

    def __init__(self, crops: DeviceCrops, params: AugmentParams, team: Team, views: int = 2) -> None:
        self._crops, self._params, self._team, self._views = crops, params, team, views

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
        draws = augment.draw(self._views * len(rows), generator).unflatten(0, (self._views, -1))[:, own].flatten(0, 1)
        return Pictures(len(rows), self._crops.batch(rows[own]), draws)

    def views(self, pictures: Pictures) -> Tensor:
        """All views of the pictures, in one pass.

        Returns:
            Float views·b×3×S×S: the first view of every picture, then the second.
        """
        images = augment.to_float(pictures.crops.repeat(self._views, 1, 1, 1))
        return augment.training_view(images, pictures.draws, self._params)
