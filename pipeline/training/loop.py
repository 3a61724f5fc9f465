"""The loop that every training stage shares: epochs, progress, the finite check, checkpoints and exact resume."""

import math
from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from pipeline.compute.device import keep_freed_memory
from pipeline.compute.team import Team
from pipeline.data.batches import prefetched
from pipeline.errors import DivergedError, TrainingError
from pipeline.progress import say
from pipeline.training.checkpoints import Checkpoint
from pipeline.training.progress import Progress

Log = Callable[[Mapping[str, float], int], None]
"""Takes the metrics and the cost of one epoch, and its number (from 1)."""

CHECK_EVERY = 20
"""How many steps pass between two checks of the losses: a check waits for the GPU."""


@dataclass(frozen=True)
class Epoch:
    """One epoch as a task announces it.

    Attributes:
        batches: made in a thread of their own, ahead of the steps that use them.
        steps: how many batches there are.
        images: how many images (views) the whole team trains on in the epoch.
        metrics: what is known before the first step; the task may add to it until the last one is done.
    """

    batches: Iterator[Any]
    steps: int
    images: int
    metrics: dict[str, float]


class Task(Protocol):
    """What one training stage trains. ``fit`` drives it; all its randomness must depend on the epoch alone."""

    @property
    def epochs(self) -> int:
        """How many are trained."""
        ...

    @property
    def name(self) -> str:
        """What the progress bar and messages call it."""
        ...

    def begin_epoch(self, epoch: int) -> Epoch:
        """Prepare epoch ``epoch`` (from 0)."""
        ...

    def step(self, batch: Any, progress: float) -> dict[str, Tensor]:
        """Make one update; ``progress`` in [0, 1) is the share of the whole training done. Returns losses by name."""
        ...

    def judge(self, epoch: int, metrics: Mapping[str, float]) -> None:
        """Look at what epoch ``epoch`` (from 0) came to.

        Raises:
            DivergedError: a weight is not finite.
            TrainingError: going on is of no use.
        """
        ...

    def state(self) -> dict[str, Any]:
        """Return all that resuming needs: weights, optimisers, schedules, histories (tensors and plain values)."""
        ...

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from ``state``."""
        ...


class Stateful(Protocol):
    """A module, an optimiser or a schedule."""

    def state_dict(self) -> dict[str, Any]:
        """Return its state as plain values and tensors."""
        ...

    def load_state_dict(self, state_dict: dict[str, Any], /) -> object:
        """Take over a state."""
        ...


class Resumable:
    """``judge``, ``state`` and ``restore`` of a task whose whole state is that of its named parts."""

    parts: dict[str, Stateful]

    @property
    @abstractmethod
    def name(self) -> str:
        """What messages call the task."""

    def judge(self, epoch: int, metrics: Mapping[str, float]) -> None:
        """Refuse an epoch whose last step has broken weights, which no loss shows.

        Raises:
            DivergedError: it names the part.
        """
        require_finite_weights(self.state(), self.name, epoch)

    def state(self) -> dict[str, Any]:
        return {name: part.state_dict() for name, part in self.parts.items()}

    def restore(self, state: dict[str, Any]) -> None:
        for name, part in self.parts.items():
            part.load_state_dict(state[name])


def prepare(seed: int, device: torch.device) -> None:
    """Seed PyTorch for the initialisation of weights; on the CPU also ask for deterministic algorithms."""
    torch.manual_seed(seed)
    # use_deterministic_algorithms would load torch.compile, a second or more, to tell it as well: see Team.setup.
    torch.set_deterministic_debug_mode("error" if device.type == "cpu" else "default")
    # Deterministic mode would also fill all new memory, which decides nothing where every tensor is written whole.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    if device.type == "cpu":
        keep_freed_memory()


def fit(task: Task, checkpoint: Checkpoint, log: Log, team: Team) -> list[dict[str, float]]:
    """Train to the last epoch and return one row of metrics an epoch (key ``epoch`` from 1).

    After every epoch the state goes into ``checkpoint``, which is continued where it is of this training. The caller
    removes it once its outputs are written. Only the team's leader shows the bar and writes the checkpoint.

    Args:
        task: what is trained.
        checkpoint: where its state is kept.
        log: receives what every epoch came to and cost.
        team: the processes that train together.

    Returns:
        The curve: a row an epoch.

    Raises:
        DivergedError: a loss or a weight is not finite, which names it and the epoch. The last good checkpoint stays.
        TrainingError: the task's ``judge`` stops it, or the team's processes do not find the same checkpoint.
        StorageError: the checkpoint cannot be written. The last good one stays.
    """
    curve, costs = _resume(task, checkpoint, team)
    for row, cost in zip(curve, costs, strict=True):
        log({key: value for key, value in row.items() if key != "epoch"} | cost, int(row["epoch"]))
    with Progress(task.name, task.epochs, team.device, team.leads) as progress:
        for epoch in range(len(curve), task.epochs):
            metrics, cost = _run_epoch(task, epoch, progress)
            task.judge(epoch, metrics)
            curve.append({"epoch": epoch + 1, **metrics})
            costs.append(cost)
            if team.leads:
                checkpoint.save({"curve": curve, "costs": costs, "task": task.state()})
            # After the checkpoint: a server that has gone away must not cost the epoch.
            log(metrics | cost, epoch + 1)
    return curve


def follow(task: Task, checkpoint: Checkpoint, team: Team) -> None:
    """Train along with the leading process, which alone shows, logs and saves (``fit``)."""
    fit(task, checkpoint, lambda _metrics, _epoch: None, team)


def fit_unseen(task: Task, device: torch.device) -> None:
    """Train to the last epoch without a bar, a log or checkpoints: where that takes seconds.

    Raises:
        DivergedError: a loss or a weight is not finite.
        TrainingError: the task's ``judge`` stops it.
    """
    with Progress(task.name, task.epochs, device, False) as progress:
        for epoch in range(task.epochs):
            metrics, _ = _run_epoch(task, epoch, progress)
            task.judge(epoch, metrics)


def _resume(task: Task, checkpoint: Checkpoint, team: Team) -> tuple[list[dict[str, float]], list[dict[str, float]]]:
    """Take over the saved state, if there is one; return its curve and costs."""
    if team.leads:
        checkpoint.make_current()
    team.all_equal(0)  # the others look when the leader is done
    saved = checkpoint.load()
    epochs = len(saved["curve"]) if saved else 0
    if not team.all_equal(epochs):
        raise TrainingError(
            f"{checkpoint.path}: the processes of the team do not see the same checkpoint; "
            "let all machines work in one shared folder"
        )
    if saved is None:
        return [], []
    task.restore(saved["task"])
    if team.leads:
        say(f"{task.name}: going on after epoch {epochs} of {task.epochs} ({checkpoint.path})")
    return saved["curve"], saved["costs"]


def _run_epoch(task: Task, epoch: int, progress: Progress) -> tuple[dict[str, float], dict[str, float]]:
    """Make all steps of one epoch; returns its metrics, the task's own and the mean of each loss, and its cost."""
    progress.begin(epoch)
    plan = task.begin_epoch(epoch)
    _require_finite(plan.metrics, task.name, epoch, 0)
    sums: dict[str, Tensor] = {}
    means: dict[str, float] = {}
    for index, batch in enumerate(progress.steps(prefetched(plan.batches), plan.steps)):
        losses = task.step(batch, (epoch + index / plan.steps) / task.epochs)
        for name, loss in losses.items():
            sums[name] = sums.get(name, torch.zeros_like(loss)) + loss.detach()
        if index % CHECK_EVERY == 0 or index == plan.steps - 1:
            means = {name: value.item() / (index + 1) for name, value in sums.items()}
            _require_finite(means, task.name, epoch, index)
            progress.show(means)
    return plan.metrics | means, progress.cost(plan.images)


def _require_finite(means: Mapping[str, float], stage: str, epoch: int, step: int) -> None:
    wrong = [f"{name} is {value}" for name, value in means.items() if not math.isfinite(value)]
    if wrong:
        raise DivergedError(
            f"{stage}: not finite: {', '.join(wrong)}, in epoch {epoch + 1} at or shortly before step {step + 1}; "
            f"nothing of this epoch was saved. Lower the learning rate or raise the temperature"
        )


def require_finite_weights(state: Any, stage: str, epoch: int, name: str = "") -> None:
    """Refuse a state with a NaN or infinite number in it: the last step of an epoch can break weights unseen.

    Args:
        state: what a task's ``state`` gives.
        stage: what messages call the task.
        epoch: from 0.
        name: of the part.

    Raises:
        DivergedError: it names the part.
    """
    if isinstance(state, Tensor):
        if state.is_floating_point() and not bool(state.isfinite().all()):
            raise DivergedError(
                f"{stage}: {name} is not finite after epoch {epoch + 1}; nothing of this epoch was saved. "
                "Lower the learning rate or raise the temperature"
            )
    elif isinstance(state, Mapping):
        for key, value in state.items():
            require_finite_weights(value, stage, epoch, f"{name}.{key}" if name else str(key))
    elif isinstance(state, list | tuple):
        for index, value in enumerate(state):
            require_finite_weights(value, stage, epoch, f"{name}.{index}")
