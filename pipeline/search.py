"""Several configurations of a method, trained one after the other, of which a rule keeps one without labels."""

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
"""An epoch of a candidate that has failed."""
State = dict[str, dict[str, Tensor]]
"""Of the parts of a model, by name."""


class Search(Resumable):
    """A training task (see ``pipeline.training.loop.Task``) made of the trainings of all candidates.

    A candidate whose losses or predictions are not finite ends there and is out of the comparison; the others go on.

    Where a ``Method`` has an entry for each of its epochs, this has one for each candidate: the first is the source
    model, then come the candidates after their last epoch, in their order.

    Args:
        candidates: at least one configuration.
        make: begins the training of one of them, from the source model and with the same chance, whatever came before.
        validator: compares their models without the target's labels.

    Attributes:
        predictions: the predicted class of each test row, uint8.
        validations: what the validators say; NaN of a candidate that has failed.
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
        """What the progress bar calls it."""
        return f"{self._method.name}, {len(self.candidates)} configurations"

    @property
    def epochs(self) -> int:
        """Those of all candidates."""
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
        """The place of the model that is kept; 0 is the source model."""
        return best_candidate(self._validator, self.validations)

    @property
    def kept_params(self) -> AdaptParams:
        """The configuration of the model that is kept; where it is the source model, the first one."""
        return self.candidates[max(self.kept_epoch - 1, 0)]

    @property
    def model(self) -> PrototypeClassifier:
        """What predicts."""
        return self._method.model

    @property
    def varied(self) -> list[dict[str, Any]]:
        """The parameters in which the candidates differ, of each."""
        return [{name: getattr(params, name) for name in params.space} for params in self.candidates]

    def modules(self) -> dict[str, nn.Module]:
        """What is saved, by name."""
        return self._method.modules()

    def begin_epoch(self, epoch: int) -> Epoch:
        """Begin an epoch of a candidate; with its first one the candidate."""
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
        """An epoch of the candidate; without steps where it has failed."""
        if not self._failed:
            try:
                return self._method.begin_epoch(epoch)
            except DivergedError:
                if not self.validations:  # the source model's own predictions: nothing could be compared with them
                    raise
                self._failed = True
        return NOTHING

    def step(self, batch: Any, progress: float) -> dict[str, Tensor]:
        """Make one update of a candidate.

        Args:
            batch: one of those that ``begin_epoch`` announced.
            progress: share of the whole search that is done.
        """
        if self._failed:
            return {}
        losses = self._method.step(batch, progress * len(self.candidates) - self._index)
        finite = torch.stack([loss.detach().isfinite().all() for loss in losses.values()]).all()
        self._failed = not bool(self._method.team.from_leader(finite.float()))  # one decision for all processes
        return {} if self._failed else losses

    def judge(self, epoch: int, metrics: Mapping[str, float]) -> None:
        """Let a candidate judge its epoch; after its last one, see what it has come to."""
        if not self._failed:
            try:
                self._method.judge(epoch % self._method.epochs, metrics)
            except DivergedError:
                self._failed = True
        if (epoch + 1) % self._method.epochs == 0:
            self._finish()

    def _finish(self) -> None:
        """Compare the candidate as it is; where it has failed, say so in its place."""
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
        """Nothing: every candidate has been predicted with."""

    def load_kept_epoch(self) -> None:
        """Let ``model`` be the one that is kept."""
        if self.kept_params != self.candidates[self._index]:
            self._begin(self.candidates.index(self.kept_params))
        for name, module in self.modules().items():
            module.load_state_dict(self._kept[name])

    def state(self) -> dict[str, Any]:
        """Return all that resuming needs: what is known of the candidates so far, and the training of the last one."""
        return {
            "predictions": self.predictions,
            "validations": self.validations,
            "kept": self._kept,
            "index": self._index,
            "failed": self._failed,
            # The weights of one that has failed are not finite, and are of no more use.
            "method": None if self._failed else self._method.state(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        self.predictions, self.validations = list(state["predictions"]), list(state["validations"])
        self._kept = state["kept"]
        device = self.target.inputs.device
        with torch.random.fork_rng([device] if device.type == "cuda" else []):  # the checkpoint's own chance goes on
            self._begin(state["index"])
        self._failed = state["failed"]
        if not self._failed:
            self._method.restore(state["method"])

    def _begin(self, index: int) -> None:
        self._index, self._failed = index, False
        self._method = self._make(self.candidates[index].model_copy(update={"search": 0, "choose": LAST}))

    def _enter(self) -> None:
        """Add the model as it is to the comparison, and keep it where it is the best so far."""
        self.predictions.append(self._method.predictions[-1])
        self.validations.append(self._method.validations[-1])
        if self.kept_epoch == len(self.validations) - 1:
            self._kept = self._method.kept_state()


def candidates(params: AdaptParams, count: int, seed: int) -> tuple[AdaptParams, ...]:
    """The configurations that a search of ``count`` tries.

    Args:
        params: as configured.
        count: how many, at most: a small space has fewer.
        seed: of the draws.

    Returns:
        Different ones: the configured one, that with the published values of what is varied, then draws.
    """
    values = {name: _values(params, name) for name in params.space}
    published = {name: type(params).model_fields[name].default for name in params.space}
    found = [params]
    for varied in itertools.chain([published], _draws(values, seed)):
        if len(found) >= count:
            break
        try:
            candidate = type(params).model_validate({**params.model_dump(), **varied})
        except ValidationError:  # values that do not go together, such as statistics of the target and joint passes
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
    """Every combination of the values once, in an order that the seed decides."""
    size = 1
    for options in values.values():
        size *= len(options)
    for place in random.Random(seed).sample(range(size), size):
        drawn = {}
        for name, options in values.items():
            place, index = divmod(place, len(options))
            drawn[name] = options[index]
        yield drawn
