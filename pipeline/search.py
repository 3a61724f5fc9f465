"""Search over configurations of a method: each is trained in turn, and a label-free rule keeps one."""

import itertools
import math
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from pydantic import ValidationError
from torch import Tensor, nn

from pipeline.config.methods import AdaptParams
from pipeline.config.methods.space import Times
from pipeline.errors import DivergedError
from pipeline.methods import Method, SourceDomain, TargetDomain
from pipeline.networks.network import PrototypeClassifier
from pipeline.progress import say
from pipeline.training.loop import Epoch, Resumable
from pipeline.validators import LAST, Validator, best_candidate

NOTHING = Epoch(iter(()), 0, 0, {})
"""The epoch of a failed candidate: no batches."""
State = dict[str, dict[str, Tensor]]
"""State dicts of a model's modules, by module name."""


class Search(Resumable):
    """A training task (see ``pipeline.training.loop.Task``) that trains all candidates one after the other.

    A candidate whose losses or predictions are not finite is stopped and cannot be kept; the others go on.

    A ``Method`` has one entry of ``predictions`` and ``validations`` per epoch. A search has one per candidate, after
    its last epoch; the first entry is the source model.

    Args:
        candidates: at least one configuration.
        make: creates the method of a configuration, always from the source model and with the same random seed.
        validator: compares the trained models without the target's labels.

    Attributes:
        predictions: the predicted class of each test row, uint8.
        validations: the validators' values; NaN for a failed candidate.
    """

    _method: Method
    _index: int
    _failed: bool

    def __init__(
        self, candidates: Sequence[AdaptParams], make: Callable[[AdaptParams], Method], validator: Validator
    ) -> None:
        self.candidates = candidates
        self.predictions: list[Tensor] = []
        self.validations: list[dict[str, float]] = []
        self._make, self._validator = make, validator
        self._kept: State = {}
        self._begin(0)

    @property
    def name(self) -> str:
        """The name in the progress bar."""
        return f"{self._method.name}, {len(self.candidates)} configurations"

    @property
    def epochs(self) -> int:
        """The number of epochs of all candidates together."""
        return len(self.candidates) * self._method.epochs

    @property
    def source(self) -> SourceDomain:
        """The labelled domain."""
        return self._method.source

    @property
    def target(self) -> TargetDomain:
        """The domain to adapt to."""
        return self._method.target

    @property
    def kept_epoch(self) -> int:
        """The index of the kept model among ``validations``; 0 is the source model."""
        return best_candidate(self._validator, self.validations)

    @property
    def kept_params(self) -> AdaptParams:
        """The configuration of the kept model; the first one if that is the source model."""
        return self.candidates[max(self.kept_epoch - 1, 0)]

    @property
    def model(self) -> PrototypeClassifier:
        """The model of the current candidate."""
        return self._method.model

    @property
    def varied(self) -> list[dict[str, Any]]:
        """The values of the searched parameters, for each candidate."""
        return [{name: getattr(params, name) for name in params.space} for params in self.candidates]

    def modules(self) -> dict[str, nn.Module]:
        """Return the modules to save, by name."""
        return self._method.modules()

    def begin_epoch(self, epoch: int) -> Epoch:
        """Begin an epoch; create the next candidate if it is its first."""
        index, own = divmod(epoch, self._method.epochs)
        if own == 0 and index > 0:
            self._begin(index)
        plan = self._begun(own)
        if not self.validations:
            self._enter()
        if not all(map(math.isfinite, plan.metrics.values())):
            self._failed, plan = True, NOTHING
        return replace(plan, metrics={**plan.metrics, "candidate": index + 1})

    def _begun(self, epoch: int) -> Epoch:
        """Begin an epoch of the candidate; one without steps if it has failed."""
        if not self._failed:
            try:
                return self._method.begin_epoch(epoch)
            except DivergedError:
                if not self.validations:  # the source model itself predicts NaN: nothing can be compared with it
                    raise
                self._failed = True
        return NOTHING

    def step(self, batch: Any, progress: float) -> dict[str, Tensor]:
        """Make one update of the current candidate.

        Args:
            batch: a batch from ``begin_epoch``.
            progress: share of the whole search that is done, in [0, 1).
        """
        if self._failed:
            return {}
        losses = self._method.step(batch, progress * len(self.candidates) - self._index)
        finite = torch.stack([loss.detach().isfinite().all() for loss in losses.values()]).all()
        self._failed = not bool(self._method.team.from_leader(finite.float()))  # the same for all processes
        return {} if self._failed else losses

    def judge(self, epoch: int, metrics: Mapping[str, float]) -> None:
        """Check the candidate's weights; after its last epoch, add it to the comparison."""
        if not self._failed:
            try:
                self._method.judge(epoch % self._method.epochs, metrics)
            except DivergedError:
                self._failed = True
        if (epoch + 1) % self._method.epochs == 0:
            self._finish()

    def _finish(self) -> None:
        """Add the candidate to the comparison; if it has failed, report that and add NaN."""
        if not self._failed:
            try:
                self._method.predict_target()
            except DivergedError:
                self._failed = True
        if self._failed:
            if self._method.team.leads:
                said = ", ".join(f"{name} {value}" for name, value in self.varied[self._index].items())
                say(f"{self._method.name}: configuration {self._index + 1} is not finite and is left out: {said}")
            self.predictions.append(self.predictions[0])
            self.validations.append(dict.fromkeys(self.validations[0], math.nan))
        else:
            self._enter()

    def predict_target(self) -> None:
        """Do nothing: ``judge`` has predicted with every candidate."""

    def load_kept_epoch(self) -> None:
        """Load the weights of the kept model into ``model``."""
        if self.kept_params != self.candidates[self._index]:
            self._begin(self.candidates.index(self.kept_params))
        for name, module in self.modules().items():
            module.load_state_dict(self._kept[name])

    def state(self) -> dict[str, Any]:
        """Return what is needed to resume: the results so far and the state of the current candidate."""
        return {
            "predictions": self.predictions,
            "validations": self.validations,
            "kept": self._kept,
            "index": self._index,
            "failed": self._failed,
            # The weights of a failed candidate are not finite and no longer needed.
            "method": None if self._failed else self._method.state(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        self.predictions, self.validations = list(state["predictions"]), list(state["validations"])
        self._kept = state["kept"]
        device = self.target.inputs.device
        with torch.random.fork_rng([device] if device.type == "cuda" else []):  # _begin seeds; keep the restored state
            self._begin(state["index"])
        self._failed = state["failed"]
        if not self._failed:
            self._method.restore(state["method"])

    def _begin(self, index: int) -> None:
        self._index, self._failed = index, False
        self._method = self._make(self.candidates[index].model_copy(update={"search": 0, "choose": LAST}))

    def _enter(self) -> None:
        """Add the current model to the comparison, and keep its weights if it is the best so far."""
        self.predictions.append(self._method.predictions[-1])
        self.validations.append(self._method.validations[-1])
        if self.kept_epoch == len(self.validations) - 1:
            self._kept = self._method.kept_state()


def candidates(params: AdaptParams, count: int, seed: int) -> tuple[AdaptParams, ...]:
    """Return the configurations that a search tries.

    Args:
        params: the configured parameters.
        count: number of configurations, at most: a small space has fewer.
        seed: seed of the random draws.

    Returns:
        Distinct configurations: the configured one, the one with the published values, then random draws.
    """
    values = {name: _values(params, name) for name in params.space}
    published = {name: type(params).model_fields[name].default for name in params.space}
    found = [params]
    for varied in itertools.chain([published], _draws(values, seed)):
        if len(found) >= count:
            break
        try:
            candidate = type(params).model_validate({**params.model_dump(), **varied})
        except ValidationError:  # incompatible values, such as batch_norm: target with joint passes
            continue
        if candidate not in found:
            found.append(candidate)
    return tuple(found)


def _values(params: AdaptParams, name: str) -> tuple[Any, ...]:
    options, value = params.space[name], getattr(params, name)
    if not isinstance(options, Times):
        return options
    return (value,) if value is None else tuple(float(f"{value * factor:.3g}") for factor in options.factors)


def _draws(values: Mapping[str, tuple[Any, ...]], seed: int) -> Iterator[dict[str, Any]]:
    """Yield every combination of the values once, in random order."""
    size = 1
    for options in values.values():
        size *= len(options)
    for place in random.Random(seed).sample(range(size), size):
        drawn = {}
        for name, options in values.items():
            place, index = divmod(place, len(options))
            drawn[name] = options[index]
        yield drawn
