"""Stage 2 as a whole: adapt a source model to an unlabelled target, save the model and its predictions, log the run."""

import copy
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import nn

from pipeline.compute.team import Team
from pipeline.config import paths
from pipeline.config.learning import AugmentParams
from pipeline.config.methods.base import AdaptParams
from pipeline.config.paths import AdaptationPaths
from pipeline.data.batches import DeviceCrops, DeviceFeatures, NetworkInputs
from pipeline.data.crops import CROP_SIZE
from pipeline.data.outcome import Outcome, Predictions, RowSample
from pipeline.data.prepared import Indices, PreparedData
from pipeline.files.atomic import atomic_path
from pipeline.files.io import write_csv
from pipeline.labels import EXPRESSIONS
from pipeline.methods import Method, SourceDomain, TargetDomain, implementation
from pipeline.networks import feature_files, saved, trained
from pipeline.networks.calibration import fitted_temperature
from pipeline.networks.encoder_statistics import StatisticsChoice
from pipeline.networks.features import FeatureRequest, GivenFeatures, source_rows, swap_encoder
from pipeline.networks.inference import predict_domains
from pipeline.networks.network import Classifier, Encoder, PrototypeClassifier
from pipeline.networks.trained import TrainedModel
from pipeline.search import Search, candidates
from pipeline.tracking.runs import StageRun
from pipeline.training import loop
from pipeline.training.checkpoints import Checkpoint
from pipeline.validators import chooser

NO_ROWS: Indices = np.empty(0, dtype=np.int64)

Run = Callable[[Checkpoint], AbstractContextManager[StageRun]]
"""Opens the MLflow run of a training; takes the checkpoint of that training."""

Fit = Callable[[Method | Search], list[dict[str, float]]]
"""Trains to the last epoch and returns the training curve (``loop.fit``)."""

Finish = Callable[[Outcome], Sequence[Path]]
"""Writes further outputs from the predictions, and returns the files to log. It runs before the checkpoint is deleted,
so that an interruption repeats it."""


@dataclass(frozen=True, eq=False)
class Final:
    """The model that an adaptation returns.

    Attributes:
        model: the classifier.
        modules: the modules to save, by name.
        temperature: calibration temperature; None: fit it on the source's test rows.
        description: further entries for the model's JSON.
    """

    model: Classifier
    modules: Mapping[str, nn.Module]
    temperature: float | None = None
    description: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, method: Method | Search) -> "Final":
        """Return the model that ``method`` has adapted."""
        return cls(method.model, method.modules())


@dataclass(frozen=True, eq=False)
class Adaptation:
    """The inputs of an adaptation: model, data, parameters and output paths.

    Attributes:
        trained: the source model.
        source: the source data; None if not available, for source-free methods.
        target: the target data.
        params: the parameters of the chosen method.
        augment: augmentation of the training views.
        seed: seed of all random numbers.
        known_classes: the expressions that occur in the target; None if unknown.
        code: SHA-256 by file, of all code that the result depends on.
        outputs: the output paths.
    """

    trained: TrainedModel
    source: PreparedData | None
    target: PreparedData
    params: AdaptParams
    augment: AugmentParams
    seed: int
    known_classes: tuple[str, ...] | None
    code: Mapping[str, str]
    outputs: AdaptationPaths

    def description(self, team: Team) -> dict[str, Any]:
        """Return everything that the result depends on except the code, as it is written to the model's JSON."""
        made = self.trained.description
        return {
            **made,
            "stage": "adapt",
            "prototypes_sha256": made["weights_sha256"],
            "target": self.target.description(),
            "known_classes": self.known_classes,
            "adapt": self.params.model_dump(),
            "compute": team.compute_settings(),
        }

    @property
    def samples(self) -> tuple[RowSample, RowSample]:
        """Return the sampled rows of source and target whose embeddings are kept."""
        of_source = NO_ROWS if self.source is None else self.source.split.test
        of_target = np.union1d(self.target.split.train, self.target.split.test)
        return RowSample.draw(of_source, self.seed), RowSample.draw(of_target, self.seed)

    @cached_property
    def source_model(self) -> PrototypeClassifier:
        """The source model, restricted to ``known_classes``."""
        model = self.trained.model
        assert isinstance(model, PrototypeClassifier)
        if self.known_classes:
            model.decision.restrict(EXPRESSIONS.index(name) for name in self.known_classes)
        return model

    @cached_property
    def encoder(self) -> Encoder:
        """The encoder f of the source model."""
        return self.source_model.network.encoder

    @cached_property
    def feature_requests(self) -> tuple[FeatureRequest | None, FeatureRequest]:
        """The features of source (None without a source) and target that are needed to train the head alone."""
        params, source = self.params, None
        if self.source is not None:
            source = FeatureRequest.of_source(
                self.encoder, self.source, params.source_pictures, params.source_views, self.augment
            )
        rules, model = params.encoder_rules, self.source_model
        return source, FeatureRequest.of_target(
            self.encoder, self.target, params.target_views, self.augment, rules, model, self.source
        )

    @cached_property
    def statistics(self) -> StatisticsChoice:
        """What the encoder has taken over from the target.

        Raises:
            DamagedFileError: the features are missing or of something else.
        """
        if self.params.trains == "all" or not self.params.adapts:
            return StatisticsChoice()
        return feature_files.read_choice(self._target_features)

    @cached_property
    def target_encoder(self) -> Encoder:
        """The encoder f with what it has taken over from the target.

        Raises:
            DamagedFileError: as of ``statistics``.
        """
        if self.statistics.unchanged:
            return self.encoder
        return self.feature_requests[1].read_encoder(self._target_features)

    @property
    def _target_features(self) -> Path:
        return self.outputs.features / self.target.name

    def method(self, team: Team) -> Method | Search:
        """Create the training task on the team's device: the method, or a search over its configurations.

        Raises:
            DamagedFileError: the features are missing, or were computed from other inputs.
        """
        source_inputs, target_inputs = self._inputs(team)
        if self.params.trains == "head":
            swap_encoder(self.source_model, GivenFeatures(self.encoder.dim))
        source = self._source_domain(source_inputs)
        target = TargetDomain(target_inputs, self.target.train_rows, self.target.test_rows)

        def begin(params: AdaptParams, model: PrototypeClassifier) -> Method:
            return implementation(params)(model, source, target, params, self.augment, self.seed, team)

        def begin_anew(params: AdaptParams) -> Method:
            torch.manual_seed(self.seed)
            return begin(params, copy.deepcopy(self.source_model.to(team.device)))

        validator = chooser(self.params.choose)
        if not self.params.search or validator is None or not self.params.adapts:
            return begin(self.params, self.source_model)
        return Search(candidates(self.params, self.params.search, self.seed), begin_anew, validator)

    def _inputs(self, team: Team) -> tuple[NetworkInputs, NetworkInputs]:
        """Return the network inputs of source and target: crops, or features if only the head is trained."""
        device = team.device
        if self.params.trains == "all":
            images = (
                np.empty((0, CROP_SIZE, CROP_SIZE, 3), np.uint8) if self.source is None else self.source.store.images
            )
            return DeviceCrops(images, device), DeviceCrops(self.target.store.images, device)
        source, target = self.feature_requests
        read = target.read if self.params.adapts else target.read_by_source
        of_target = read(self._target_features, device, team.leads)
        if source is None:
            return DeviceFeatures.empty_like(of_target), of_target
        return source.read(self.outputs.features / source.name, device, team.leads), of_target

    def direct_inputs(self, target: TargetDomain) -> NetworkInputs:
        """What direct transfer predicts the target from: of features those by the source's encoder."""
        if self.statistics.unchanged:
            return target.inputs
        return self.feature_requests[1].read_by_source(self._target_features, target.inputs.device, verify=False)

    def _source_domain(self, inputs: NetworkInputs) -> SourceDomain:
        if self.source is None:
            none = torch.from_numpy(NO_ROWS)
            return SourceDomain(inputs, none, none, none)
        source, params = self.source, self.params
        rows = source_rows(source, params.source_pictures if params.trains == "head" else None)
        return SourceDomain(inputs, rows, source.source_labels(), source.test_rows)


@dataclass(frozen=True, eq=False)
class Adapted:
    """A finished adaptation, before anything is written.

    Attributes:
        method: the method, or the search, with the weights of the kept epoch.
        curve: the training curve (``loop.fit``).
        final: the model that the adaptation returns.
        outcome: predictions and embeddings by the source model and by this model.
        description: the content of the model's JSON.
    """

    method: Method | Search
    curve: Sequence[dict[str, float]]
    final: Final
    outcome: Outcome
    description: Mapping[str, Any]

    def by_epoch(self) -> NDArray[np.uint8]:
        """Return the predicted classes of the test pictures after 0, 1, … epochs, E×N; of a search by configuration."""
        return np.stack([classes.numpy() for classes in self.method.predictions])

    def validations(self) -> pd.DataFrame:
        """Return the validators' values, without the target's labels, one row for each row of ``by_epoch``."""
        return pd.DataFrame(self.method.validations).rename_axis("epoch").reset_index()


def train(
    work: Adaptation,
    method: Method | Search,
    team: Team,
    fit: Fit,
    conclude: Callable[[Method | Search], Final] = Final.of,
) -> Adapted:
    """Train ``method`` in the team's leading process, and predict with the model that it gives.

    Args:
        work: the inputs.
        method: what ``work.method`` has returned.
        team: the processes that train together.
        fit: trains to the last epoch.
        conclude: chooses the model to save; called after training, with the weights of the kept epoch loaded.

    Raises:
        TrainingError: see ``loop.fit``.
    """
    source, target, more = method.source.inputs, method.target, (work.samples, work.augment.eval_crop)
    # Predict before ``fit``: a method may train the source model in place, and ``fit`` may load a checkpoint.
    before = predict_domains(work.source_model, source, work.direct_inputs(target), *more)
    curve = fit(method)
    method.predict_target()
    method.load_kept_epoch()
    final = conclude(method)
    after = predict_domains(final.model, source, target.inputs, *more)
    if work.params.trains == "head":
        for module in final.modules.values():
            swap_encoder(module, work.target_encoder)
    fitted = final.temperature or _temperature(work, after)
    final.model.calibration.temperature.fill_(fitted)
    described = work.description(team)
    described["environment"] = {**described["environment"], "adapt": team.environment()}
    described |= {"temperature": fitted, **_kept(method, curve), "encoder_statistics": asdict(work.statistics)}
    return Adapted(method, curve, final, Outcome(*work.samples, before, after), {**described, **final.description})


def adapt(
    work: Adaptation,
    run: Run,
    team: Team,
    registered_name: str,
    finish: Finish = lambda _outcome: (),
    conclude: Callable[[Method | Search], Final] = Final.of,
) -> None:
    """Adapt the source model and write ``work.outputs``.

    Every process of the team calls this after ``loop.prepare``. If it is interrupted, even within ``finish``, the next
    call with the same inputs continues after the last complete epoch.

    Args:
        work: the inputs.
        run: opens the MLflow run.
        team: the processes that train together.
        registered_name: name of the registered model in MLflow.
        finish: writes further outputs.
        conclude: chooses the model to save; called after training, with the weights of the kept epoch loaded.

    Raises:
        TrainingError: see ``loop.fit``.
        StorageError: a file cannot be written.
        TrackingError: see ``pipeline.tracking.runs``.
    """
    method = work.method(team)
    checkpoint = Checkpoint(work.outputs.checkpoint, {**work.description(team), "code": dict(work.code)})
    if not team.leads:
        loop.follow(method, checkpoint, team)
        method.predict_target()
        method.load_kept_epoch()  # a search rebuilds the kept configuration, which needs all processes
        return
    with run(checkpoint) as tracked:
        _log_inputs(work, tracked, team)
        adapted = train(work, method, team, lambda task: loop.fit(task, checkpoint, tracked.log, team), conclude)
        saved.save(work.outputs.model, adapted.final.modules, adapted.description)
        _write_tables(work.outputs, adapted)
        adapted.outcome.write(work.outputs.outcome)
        files = [paths.model_description(work.outputs.model), work.outputs.curve, work.outputs.validations]
        tracked.log_files([*files, *finish(adapted.outcome)], "adapt")
        model = trained.open_model(work.outputs.model)
        tracked.log_model(model.model, model.description, registered_name)
    checkpoint.remove()


def _temperature(work: Adaptation, after: Predictions) -> float:
    """Fit the temperature on the source's test rows; without the source, return that of the source model."""
    if work.source is None:
        return float(work.trained.model.calibration.temperature)
    return fitted_temperature(after.source_probabilities, work.source.store.labels()[work.samples[0].rows])


def _kept(method: Method | Search, curve: Sequence[dict[str, float]]) -> dict[str, Any]:
    """Return what the model's JSON says of the kept epoch, and of the kept configuration of a search.

    ``own_share`` is the mean over epochs (``pipeline.methods.parts.own_share``); None if it was never measured.
    """
    kept: dict[str, Any] = {"kept_epoch": method.kept_epoch}
    if isinstance(method, Search):
        kept |= {"adapt": method.kept_params.model_dump(), "candidates": method.varied}
        curve = [row for row in curve if row["candidate"] == max(method.kept_epoch, 1)]
    shares = [row["own_share"] for row in curve if "own_share" in row]
    return {**kept, "own_share": sum(shares) / len(shares) if shares else None}


def _log_inputs(work: Adaptation, tracked: StageRun, team: Team) -> None:
    tracked.log_tags(team.tags())
    if work.source is not None:
        tracked.log_dataset(work.source.store, work.source.split.train, "source")
    tracked.log_dataset(work.target.store, work.target.split.train, "target")


def _write_tables(to: AdaptationPaths, adapted: Adapted) -> None:
    """Write the predictions, the validators' values and the losses of every epoch.

    The table of predictions has one column per epoch (0: before adaptation) and one row per test picture, uint8. For a
    search, predictions and validators' values are by configuration instead of by epoch.
    """
    epochs = pd.DataFrame({f"epoch_{epoch}": classes for epoch, classes in enumerate(adapted.by_epoch())})
    with atomic_path(to.epochs) as temporary:
        epochs.to_parquet(temporary, index=False)
    write_csv(to.validations, adapted.validations())
    columns = list(dict.fromkeys(name for row in adapted.curve for name in row)) or ["epoch", "loss"]
    write_csv(to.curve, pd.DataFrame(adapted.curve, columns=columns))
