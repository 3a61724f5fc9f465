"""What an adaptation method is given and what it must do. A new method is one module and one registry entry."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch
from torch import Tensor

from pipeline.batches import DeviceCrops
from pipeline.inference import project
from pipeline.nets import Network, Prototypes
from pipeline.params import AdaptParams, AugmentParams
from pipeline.team import Team
from pipeline.training import Epoch


@dataclass(frozen=True)
class SourceDomain:
    """The labelled source: its crops, its training rows (int64) and a label for each row of the crops (int64)."""

    crops: DeviceCrops
    rows: Tensor
    labels: Tensor


@dataclass(frozen=True)
class TargetDomain:
    """The target: its crops, the rows to adapt to and the rows to predict (int64). It has no labels, on purpose."""

    crops: DeviceCrops
    train_rows: Tensor
    test_rows: Tensor


@dataclass(eq=False)
class Method(ABC):
    """A training task (see ``pipeline.training.Task``) that starts from the source model and ends with M_t.

    ``predictions`` grows by one row before every epoch and one at the end: the predicted class of each test row
    (uint8), from which the evaluation stage, which alone sees labels, finds the last and the oracle epoch.
    """

    network: Network
    source_prototypes: Prototypes
    source: SourceDomain
    target: TargetDomain
    params: AdaptParams
    augment_params: AugmentParams
    seed: int
    team: Team

    name: ClassVar[str]
    epochs: int = field(init=False)
    target_prototypes: Prototypes = field(init=False)
    predictions: list[Tensor] = field(init=False, default_factory=list)

    def __post_init__(self) -> None:
        device = self.target.crops.device
        self.epochs = self.params.epochs
        self.network.to(device)
        self.source_prototypes.to(device)
        self.target_prototypes = Prototypes(self.network.head.dim).to(device)
        self.target_prototypes.load_state_dict(self.source_prototypes.state_dict())

    @abstractmethod
    def begin_epoch(self, epoch: int) -> Epoch:
        """Prepare epoch ``epoch`` (from 0)."""

    @abstractmethod
    def step(self, batch: Any, progress: float) -> dict[str, Tensor]:
        """One update; returns its losses by name."""

    @abstractmethod
    def state(self) -> dict[str, Any]:
        """Everything that resuming needs."""

    @abstractmethod
    def restore(self, state: dict[str, Any]) -> None:
        """Continue from ``state``."""

    @torch.no_grad()
    def probabilities(self, rows: Tensor) -> Tensor:
        """softmax(z·M_tᵀ) of the evaluation view of target ``rows``: len(rows)×k float, on the training device.

        The team's processes predict a part each and all get the whole.
        """
        own = rows[self.team.part(len(rows))]
        z = project(self.network, self.target.crops, own, self.augment_params.eval_crop, shown=self.team.leads)
        probabilities = torch.softmax(self.target_prototypes(self.team.whole(z, len(rows))), dim=1)
        return self.team.of_leader(probabilities)

    def predict_test(self) -> None:
        """Append the current prediction of every test row to ``predictions``."""
        self._keep_prediction(self.probabilities(self.target.test_rows))

    def predict_target(self) -> Tensor:
        """Predict all rows of the target once: keep the test rows' prediction, return the training rows' probabilities.

        len(train_rows)×k float on the training device. Where a picture is both (protocol ``all``) it is computed once.
        """
        rows = torch.cat([self.target.train_rows, self.target.test_rows]).unique()
        probabilities = self.probabilities(rows)
        self._keep_prediction(probabilities[torch.searchsorted(rows, self.target.test_rows).to(probabilities.device)])
        return probabilities[torch.searchsorted(rows, self.target.train_rows).to(probabilities.device)]

    def _keep_prediction(self, probabilities: Tensor) -> None:
        self.predictions.append(probabilities.argmax(dim=1).to(torch.uint8).cpu())
