"""The base class of all adaptation methods, and the data that they are given."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from pipeline.compute.team import Team
from pipeline.config.learning import AugmentParams
from pipeline.config.methods.base import AdaptParams
from pipeline.data.batches import NetworkInputs
from pipeline.errors import DivergedError, TrainingError, WeightsError
from pipeline.methods.parts.linear import require_fitting
from pipeline.networks.inference import classify
from pipeline.networks.network import Classifier, PrototypeClassifier
from pipeline.training.loop import Epoch, Resumable, Stateful
from pipeline.validators import best_epoch, chooser, validate
from pipeline.validators.measures import ValidatorInput

VALIDATED = 500
"""Maximum number of pictures per domain that the validators use."""


@dataclass(frozen=True)
class SourceDomain:
    """The labelled source.

    Attributes:
        inputs: the network inputs of all pictures.
        rows: training rows, int64.
        labels: the label of every picture, int64.
        held_out: rows that are not trained on, for the validators, int64.
    """

    inputs: NetworkInputs
    rows: Tensor
    labels: Tensor
    held_out: Tensor


@dataclass(frozen=True)
class TargetDomain:
    """The target, without its labels, which methods must not see.

    Attributes:
        inputs: the network inputs of all pictures.
        train_rows: rows to adapt to, int64.
        test_rows: rows to predict, int64.
    """

    inputs: NetworkInputs
    train_rows: Tensor
    test_rows: Tensor


def require_statistics(params: AdaptParams, model: Classifier) -> None:
    """Check that the source model has class statistics if the method needs them.

    Raises:
        WeightsError: it has none, because an older version has trained it.
    """
    if params.needs_statistics and not (isinstance(model, PrototypeClassifier) and model.statistics):
        raise WeightsError(
            f"{params.name}: this source model has no class statistics; run dvc repro prototypes, or choose another "
            "method"
        )


@dataclass(eq=False)
class Method(Resumable, ABC):
    """A training task (see ``pipeline.training.loop.Task``) that adapts the source model to the target.

    Attributes:
        source_model: f, g and M_s; the method may train them in place.
        source: the labelled domain.
        target: the domain to adapt to.
        params: the parameters of the method.
        augment_params: augmentation of the training views.
        seed: seed of all random numbers (``generator_for``).
        team: the processes that train together.
        epochs: number of epochs.
        model: the adapted classifier, of the class that ``params.classifier`` names; set by ``prepare``.
        parts: everything with a state that resuming needs, by name; set by ``prepare``.
        predictions: the predicted class of each test row (uint8), one tensor per epoch from 0, the source model. Only
            the evaluation stage compares them with labels.
        validations: the validators' values, without the target's labels, one mapping per epoch from 0.
    """

    source_model: PrototypeClassifier
    source: SourceDomain
    target: TargetDomain
    params: AdaptParams
    augment_params: AugmentParams
    seed: int
    team: Team

    epochs: int = field(init=False)
    model: PrototypeClassifier = field(init=False)
    parts: dict[str, Stateful] = field(init=False, default_factory=dict)
    predictions: list[Tensor] = field(init=False, default_factory=list)
    validations: list[dict[str, float]] = field(init=False, default_factory=list)
    _kept_state: dict[str, dict[str, Tensor]] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        require_fitting(self.params, self.source_model)
        require_statistics(self.params, self.source_model)
        self.epochs = self.params.passes if self.params.adapts else 0
        self.source_model.to(self.target.inputs.device)
        held_out = self.source.held_out
        held_out = held_out[self.source_model.decision.possible.cpu()[self.source.labels[held_out]]]
        self._held_out = held_out[_evenly(len(held_out))]
        self.prepare()

    @property
    def name(self) -> str:
        """The method's name in params.yaml."""
        return self.params.name

    @property
    def kept_epoch(self) -> int:
        """The epoch, of those so far, that ``params.choose`` keeps; 0 is the source model."""
        validator = chooser(self.params.choose)
        if validator is None:
            return len(self.validations) - 1
        return best_epoch(validator, [said[validator.name] for said in self.validations])

    @abstractmethod
    def prepare(self) -> None:
        """Set ``model`` and ``parts``. The source model is already on the device."""

    @abstractmethod
    def begin_epoch(self, epoch: int) -> Epoch:
        """Predict the target and return the batches of epoch ``epoch`` (from 0)."""

    @abstractmethod
    def step(self, batch: Any, progress: float) -> dict[str, Tensor]:
        """Make one update.

        Args:
            batch: a batch from ``begin_epoch``.
            progress: share of stage 2 that is done, in [0, 1).

        Returns:
            The losses by name, scalars.
        """

    def require_pictures(self, least: int) -> None:
        """Check that the target has at least ``least`` pictures to adapt to.

        Raises:
            TrainingError: it has fewer.
        """
        if (found := len(self.target.train_rows)) < least:
            raise TrainingError(
                f"the target's split has too few pictures for {self.name} to adapt to ({found}; {least} are needed): "
                "add pictures or change its split"
            )

    def modules(self) -> dict[str, nn.Module]:
        """Return the modules to save, by name: those of ``model``, and any others worth keeping."""
        return dict(self.model.named_children())

    def state(self) -> dict[str, Any]:
        """Return what is needed to resume: ``parts``, predictions, validations and the weights of the kept epoch."""
        found = {"predictions": self.predictions, "validations": self.validations}
        return {**super().state(), **found, "kept": self._kept_state}

    def restore(self, state: dict[str, Any]) -> None:
        super().restore(state)
        self.predictions = list(state["predictions"])
        self.validations = list(state["validations"])
        self._kept_state = state["kept"]

    def probabilities(self, rows: Tensor) -> Tensor:
        """Classify the evaluation views of target ``rows`` (int64): len(rows)×k float, on the device."""
        return self._classified(self.target.inputs, rows)[1]

    def predict_target(self) -> None:
        """Append to ``predictions`` (of the test rows) and ``validations`` (of a sample of the training rows).

        Raises:
            DivergedError: a prediction is not finite.
        """
        self._predict(self.target.train_rows[_evenly(len(self.target.train_rows))])

    def predict_whole_target(self) -> tuple[Tensor, Tensor]:
        """Do the same as ``predict_target``, and return the predictions for all training rows.

        Returns:
            Embeddings (len(train_rows)×d) and probabilities (len(train_rows)×k), float on the training device.

        Raises:
            DivergedError: a prediction is not finite.
        """
        return self._predict(self.target.train_rows)

    def _predict(self, train: Tensor) -> tuple[Tensor, Tensor]:
        """Predict the rows ``train`` and the test rows; a row in both is computed once."""
        test = self.target.test_rows
        rows = torch.cat([train, test]).unique()
        embeddings, probabilities = self._classified(self.target.inputs, rows)
        if not bool(probabilities.isfinite().all()):
            raise DivergedError(
                f"{self.name}: not finite: what is predicted for the target after epoch {len(self.predictions)}. "
                "Lower the learning rate"
            )
        decided = self._decided(probabilities)
        place = torch.searchsorted(rows, test).to(probabilities.device)
        self.predictions.append(decided[place].argmax(dim=1).to(torch.uint8).cpu())
        place = torch.searchsorted(rows, train).to(probabilities.device)
        sample = place[_evenly(len(train))]
        self._validate(embeddings[sample], decided[sample])
        self._keep_where_best()
        return embeddings[place], probabilities[place]

    def _decided(self, probabilities: Tensor) -> Tensor:
        """Return the probabilities to record: at epoch 0 by the source model's decision instead of the method's."""
        if self.validations:
            return probabilities
        return self.model.decision.convert(probabilities, self.source_model.decision)

    def kept_state(self) -> dict[str, dict[str, Tensor]]:
        """Copy the state of ``modules`` after the last predictions; at epoch 0 with the source model's decision."""
        decision = {"decision": self.source_model.decision} if len(self.validations) == 1 else {}
        return {
            name: {key: value.detach().cpu().clone() for key, value in module.state_dict().items()}
            for name, module in {**self.modules(), **decision}.items()
        }

    def load_kept_epoch(self) -> None:
        """Load the weights of ``kept_epoch`` into ``model``. Called after the last ``predict_target``."""
        for name, state in self._kept_state.items():
            self.modules()[name].load_state_dict(state)
        self._kept_state = {}

    def _keep_where_best(self) -> None:
        """Copy the model's state if ``params.choose`` names a validator and it finds this epoch the best so far."""
        if chooser(self.params.choose) is not None and self.kept_epoch == len(self.validations) - 1:
            self._kept_state = self.kept_state()

    def _validate(self, embeddings: Tensor, probabilities: Tensor) -> None:
        source_embeddings, source_probabilities = self._classified(self.source.inputs, self._held_out)
        inputs = ValidatorInput(
            embeddings.cpu().numpy(),
            probabilities.cpu().numpy(),
            source_embeddings.cpu().numpy(),
            self._decided(source_probabilities).cpu().numpy(),
            self.source.labels[self._held_out].numpy(),
        )
        self.validations.append(validate(inputs))

    def _classified(self, inputs: NetworkInputs, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Embed and classify ``rows``. Each process of the team computes a part; all get the whole result."""
        own = rows[self.team.part(len(rows))]
        found = classify(self.model, inputs, own, self.augment_params.eval_crop, show_progress=self.team.leads)
        embeddings, probabilities = (self.team.from_leader(self.team.gather(part, len(rows))) for part in found)
        return embeddings, probabilities


def _evenly(count: int) -> Tensor:
    """Return at most ``VALIDATED`` evenly spaced indices below ``count`` (int64), the same in every epoch."""
    return torch.arange(min(count, VALIDATED)) * count // max(min(count, VALIDATED), 1)
