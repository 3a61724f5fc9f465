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

    count: of the whole team's batch. crops: uint8 b×3×S×S on the device, this process's part of it. draws: one row of
    ``augment.draw`` a view, on the CPU, those of the first views, then those of the second.
    """

    count: int
    crops: Tensor
    draws: Tensor


class Views:
    """The pictures of one domain and how ``views`` views are made of each."""

    def __init__(self, crops: DeviceCrops, params: AugmentParams, team: Team, views: int = 2) -> None:
        self._crops, self._params, self._team, self._views = crops, params, team, views

    def pictures(self, rows: Tensor, generator: torch.Generator) -> Pictures:
        """Fetch the pictures of ``rows`` (int64, CPU: the whole team's batch) and draw for the views of each.

        Raises:
            ParamsError: there is not one for every process of the team.
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
        """``views`` · b×3×S×S float: the first views and then the second, all in one pass."""
        images = augment.to_float(pictures.crops.repeat(self._views, 1, 1, 1))
        return augment.training_view(images, pictures.draws, self._params)
