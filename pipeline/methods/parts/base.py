"""What an adaptation method is given and what it must do."""

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
"""How many pictures of each domain the validators look at, at most."""


@dataclass(frozen=True)
class SourceDomain:
    """The labelled source.

    Attributes:
        inputs: all its pictures, as the network takes them.
        rows: those to train on, int64.
        labels: one for each picture, int64.
        held_out: rows that are not trained on, int64, by which validators judge.
    """

    inputs: NetworkInputs
    rows: Tensor
    labels: Tensor
    held_out: Tensor


@dataclass(frozen=True)
class TargetDomain:
    """The target, which has no labels here, on purpose.

    Attributes:
        inputs: all its pictures, as the network takes them.
        train_rows: those to adapt to, int64.
        test_rows: those to predict, int64.
    """

    inputs: NetworkInputs
    train_rows: Tensor
    test_rows: Tensor


def require_statistics(params: AdaptParams, model: Classifier) -> None:
    """Refuse a source model without class statistics for a method that needs them.

    Raises:
        WeightsError: it has none, as it was trained before they were kept.
    """
    if params.needs_statistics and not (isinstance(model, PrototypeClassifier) and model.statistics):
        raise WeightsError(
            f"{params.name}: this source model has no class statistics; run dvc repro prototypes, or choose another "
            "method"
        )


@dataclass(eq=False)
class Method(Resumable, ABC):
    """A training task (see ``pipeline.training.loop.Task``) that starts from the source model and ends with its own.

    Attributes:
        source_model: f, g and M_s; the method may train them in place or on a copy.
        source: the labelled domain.
        target: the domain to adapt to.
        params: the method's own.
        augment_params: how views are drawn.
        seed: of all chance (``generator_for``).
        team: the processes that train together.
        epochs: how many are trained.
        model: what predicts, set by the method; of the kind that its parameters' ``classifier`` names. Its parts are
            saved; what else is saved, ``modules`` says.
        parts: what resuming needs beside the predictions, set by the method.
        predictions: grows by one row before every epoch and one at the end: the predicted class of each test row
            (uint8), from which the evaluation stage, which alone sees labels, finds the last and the oracle epoch. The
            first row is the source model's, by its own decision.
        validations: grows likewise, by what the validators say without the target's labels.
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
        """What params.yaml calls the method."""
        return self.params.name

    @property
    def kept_epoch(self) -> int:
        """The epoch so far whose model ``params.choose`` keeps; 0 is the source model."""
        validator = chooser(self.params.choose)
        if validator is None:
            return len(self.validations) - 1
        return best_epoch(validator, [said[validator.name] for said in self.validations])

    @abstractmethod
    def prepare(self) -> None:
        """Set ``model`` and ``parts``; the source model is on the device."""

    @abstractmethod
    def begin_epoch(self, epoch: int) -> Epoch:
        """Prepare epoch ``epoch`` (from 0): predict the target, announce the batches."""

    @abstractmethod
    def step(self, batch: Any, progress: float) -> dict[str, Tensor]:
        """Make one update.

        Args:
            batch: one of those that ``begin_epoch`` announced.
            progress: share of stage 2 that is done, in [0, 1).

        Returns:
            Its losses by name, scalars.
        """

    def require_pictures(self, least: int) -> None:
        """Check that the target has enough pictures to adapt to.

        Raises:
            TrainingError: it has fewer than ``least``.
        """
        if (found := len(self.target.train_rows)) < least:
            raise TrainingError(
                f"the target's split has too few pictures for {self.name} to adapt to ({found}; {least} are needed): "
                "add pictures or change its split"
            )

    def modules(self) -> dict[str, nn.Module]:
        """Return what is saved, by name: the parts of ``model``, and whatever else is worth keeping."""
        return dict(self.model.named_children())

    def state(self) -> dict[str, Any]:
        """Return all that resuming needs: the state of ``parts``, predictions, validations, the model kept."""
        found = {"predictions": self.predictions, "validations": self.validations}
        return {**super().state(), **found, "kept": self._kept_state}

    def restore(self, state: dict[str, Any]) -> None:
        super().restore(state)
        self.predictions = list(state["predictions"])
        self.validations = list(state["validations"])
        self._kept_state = state["kept"]

    def probabilities(self, rows: Tensor) -> Tensor:
        """Predict the evaluation views of target ``rows`` (int64): len(rows)×k float, on the device."""
        return self._classified(self.target.inputs, rows)[1]

    def predict_target(self) -> None:
        """Keep what is predicted for the test rows, and what the validators say of some of the training rows.

        Raises:
            DivergedError: a prediction is not finite.
        """
        self._predict(self.target.train_rows[_evenly(len(self.target.train_rows))])

    def predict_whole_target(self) -> tuple[Tensor, Tensor]:
        """``predict_target``, for a method that learns from what is predicted for all training rows.

        Returns:
            Their embeddings (len(train_rows)×d) and probabilities (len(train_rows)×k), float on the training device.

        Raises:
            DivergedError: a prediction is not finite.
        """
        return self._predict(self.target.train_rows)

    def _predict(self, train: Tensor) -> tuple[Tensor, Tensor]:
        """Predict the rows ``train`` and the test rows; a picture that is both is computed once."""
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
        """What counts as predicted: before training the source model's own decision, not yet the method's."""
        if self.validations:
            return probabilities
        return self.model.decision.convert(probabilities, self.source_model.decision)

    def kept_state(self) -> dict[str, dict[str, Tensor]]:
        """Copy the state of ``modules`` by which the last predictions were made; before training the source model's."""
        decision = {"decision": self.source_model.decision} if len(self.validations) == 1 else {}
        return {
            name: {key: value.detach().cpu().clone() for key, value in module.state_dict().items()}
            for name, module in {**self.modules(), **decision}.items()
        }

    def load_kept_epoch(self) -> None:
        """Let ``model`` be that of ``kept_epoch``, after the last epoch and its predictions."""
        for name, state in self._kept_state.items():
            self.modules()[name].load_state_dict(state)
        self._kept_state = {}

    def _keep_where_best(self) -> None:
        """Copy the model where a validator chooses and finds it better than all before."""
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
        """Predict ``rows``: the team's processes a part each, and all get the whole embeddings and probabilities."""
        own = rows[self.team.part(len(rows))]
        found = classify(self.model, inputs, own, self.augment_params.eval_crop, show_progress=self.team.leads)
        embeddings, probabilities = (self.team.from_leader(self.team.gather(part, len(rows))) for part in found)
        return embeddings, probabilities


def _evenly(count: int) -> Tensor:
    """Choose at most ``VALIDATED`` places among ``count``, spread over all (int64): the same ones in every epoch."""
    return torch.arange(min(count, VALIDATED)) * count // max(min(count, VALIDATED), 1)
