"""What an adaptation method is given and what it must do."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from pipeline.compute.team import Team
from pipeline.config.methods.base import AdaptParams
from pipeline.config.schema import AugmentParams
from pipeline.data.batches import DeviceCrops
from pipeline.networks.inference import classify
from pipeline.networks.network import Classifier, PrototypeClassifier
from pipeline.training.loop import Epoch, Resumable, Stateful


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
class Method(Resumable, ABC):
    """A training task (see ``pipeline.training.loop.Task``) that starts from the source model and ends with its own.

    source_model: f, g and M_s; the method may train them in place or on a copy.
    model: what predicts, set by the method; of the kind that its parameters' ``classifier`` names. Its parts are saved;
    what else is saved, ``modules`` says.
    parts: what resuming needs beside the predictions, set by the method.
    predictions: grows by one row before every epoch and one at the end: the predicted class of each test row (uint8),
    from which the evaluation stage, which alone sees labels, finds the last and the oracle epoch.
    """

    source_model: PrototypeClassifier
    source: SourceDomain
    target: TargetDomain
    params: AdaptParams
    augment_params: AugmentParams
    seed: int
    team: Team

    epochs: int = field(init=False)
    model: Classifier = field(init=False)
    parts: dict[str, Stateful] = field(init=False, default_factory=dict)
    predictions: list[Tensor] = field(init=False, default_factory=list)

    def __post_init__(self) -> None:
        self.epochs = self.params.epochs if self.params.adapts else 0
        self.source_model.to(self.target.crops.device)
        self.prepare()

    @property
    def name(self) -> str:
        """As in params.yaml."""
        return self.params.name

    @abstractmethod
    def prepare(self) -> None:
        """Set ``model`` and ``parts``; the source model is on the device."""

    @abstractmethod
    def begin_epoch(self, epoch: int) -> Epoch:
        """Prepare epoch ``epoch`` (from 0): predict the test rows, announce the batches."""

    @abstractmethod
    def step(self, batch: Any, progress: float) -> dict[str, Tensor]:
        """One update; returns its losses by name."""

    def modules(self) -> dict[str, nn.Module]:
        """What is saved, by name: the parts of ``model``, and whatever else is worth keeping."""
        return dict(self.model.named_children())

    def state(self) -> dict[str, Any]:
        """Everything that resuming needs: the state of ``parts`` and the predictions so far."""
        return {**super().state(), "predictions": self.predictions}

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from ``state``."""
        super().restore(state)
        self.predictions = list(state["predictions"])

    def probabilities(self, rows: Tensor) -> Tensor:
        """What ``model`` predicts for the evaluation view of target ``rows``: len(rows)×k float, on the device.

        The team's processes predict a part each and all get the whole.
        """
        own = rows[self.team.part(len(rows))]
        _, probabilities = classify(
            self.model, self.target.crops, own, self.augment_params.eval_crop, shown=self.team.leads
        )
        return self.team.of_leader(self.team.whole(probabilities, len(rows)))

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
