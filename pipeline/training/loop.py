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
"""Logs the metrics and the cost of one epoch; takes them and the epoch's number (from 1)."""

CHECK_EVERY = 20
"""Steps between two checks that losses are finite: a check must wait for the GPU."""


@dataclass(frozen=True)
class Epoch:
    """The plan of one epoch.

    Attributes:
        batches: the batches; a separate thread creates them ahead of the steps.
        steps: number of batches.
        images: number of images (views) that the whole team trains on.
        metrics: metrics known before the first step; the task may add more until the last step.
    """

    batches: Iterator[Any]
    steps: int
    images: int
    metrics: dict[str, float]


class Task(Protocol):
    """A training task that ``fit`` runs. Its random numbers must depend only on seed and epoch, for exact resume."""

    @property
    def epochs(self) -> int:
        """The number of epochs."""
        ...

    @property
    def name(self) -> str:
        """The name in the progress bar and messages."""
        ...

    def begin_epoch(self, epoch: int) -> Epoch:
        """Prepare epoch ``epoch`` (from 0)."""
        ...

    def step(self, batch: Any, progress: float) -> dict[str, Tensor]:
        """Make one update and return the losses by name; ``progress`` in [0, 1) is the share of training done."""
        ...

    def judge(self, epoch: int, metrics: Mapping[str, float]) -> None:
        """Check the result of epoch ``epoch`` (from 0).

        Raises:
            DivergedError: a weight is not finite.
            TrainingError: continuing is pointless.
        """
        ...

    def state(self) -> dict[str, Any]:
        """Return what is needed to resume: weights, optimisers, schedules, histories (tensors and plain values)."""
        ...

    def restore(self, state: dict[str, Any]) -> None:
        """Load a state that ``state`` has returned."""
        ...


class Stateful(Protocol):
    """A module, an optimiser or a schedule."""

    def state_dict(self) -> dict[str, Any]:
        """Return the state as plain values and tensors."""
        ...

    def load_state_dict(self, state_dict: dict[str, Any], /) -> object:
        """Load a state."""
        ...


class Resumable:
    """Implements ``judge``, ``state`` and ``restore`` for a task whose state is that of its named ``parts``."""

    parts: dict[str, Stateful]

    @property
    @abstractmethod
    def name(self) -> str:
        """The name in messages."""

    def judge(self, epoch: int, metrics: Mapping[str, float]) -> None:
        """Check that all weights are finite: no loss is computed after the last step of an epoch.

        Raises:
            DivergedError: a weight is not finite; the message names the part.
        """
        require_finite_weights(self.state(), self.name, epoch)

    def state(self) -> dict[str, Any]:
        return {name: part.state_dict() for name, part in self.parts.items()}

    def restore(self, state: dict[str, Any]) -> None:
        for name, part in self.parts.items():
            part.load_state_dict(state[name])


def prepare(seed: int, device: torch.device) -> None:
    """Seed PyTorch for weight initialisation; on the CPU, also require deterministic algorithms."""
    torch.manual_seed(seed)
    # torch.use_deterministic_algorithms would import torch.compile, which takes a second or more (see Team.setup).
    torch.set_deterministic_debug_mode("error" if device.type == "cpu" else "default")
    # Deterministic mode also fills new memory, which is unnecessary: no code reads uninitialised tensors.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    if device.type == "cpu":
        keep_freed_memory()


def fit(task: Task, checkpoint: Checkpoint, log: Log, team: Team) -> list[dict[str, float]]:
    """Train to the last epoch.

    The state is saved to ``checkpoint`` after every epoch. If ``checkpoint`` already holds the state of this training,
    it is resumed. The caller deletes the checkpoint once the outputs are written. Only the team's leader shows the
    progress bar and writes the checkpoint.

    Args:
        task: the training task.
        checkpoint: where the state is saved.
        log: receives the metrics and the cost of every epoch.
        team: the processes that train together.

    Returns:
        The training curve: one row of metrics per epoch, with key ``epoch`` from 1.

    Raises:
        DivergedError: a loss or a weight is not finite. The last checkpoint remains.
        TrainingError: the task's ``judge`` stops training, or the team's processes find different checkpoints.
        StorageError: the checkpoint cannot be written. The previous one remains.
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
            # Log after saving: if the tracking server fails, the epoch is not lost.
            log(metrics | cost, epoch + 1)
    return curve


def follow(task: Task, checkpoint: Checkpoint, team: Team) -> None:
    """Run ``fit`` in a process that is not the leader: without logging."""
    fit(task, checkpoint, lambda _metrics, _epoch: None, team)


def fit_silently(task: Task, device: torch.device) -> list[dict[str, float]]:
    """Train to the last epoch without progress bar, logging or checkpoints, for a training of seconds.

    Returns:
        The training curve, as ``fit``.

    Raises:
        DivergedError: a loss or a weight is not finite.
        TrainingError: the task's ``judge`` stops it.
    """
    curve = []
    with Progress(task.name, task.epochs, device, False) as progress:
        for epoch in range(task.epochs):
            metrics, _ = _run_epoch(task, epoch, progress)
            task.judge(epoch, metrics)
            curve.append({"epoch": epoch + 1, **metrics})
    return curve


def _resume(task: Task, checkpoint: Checkpoint, team: Team) -> tuple[list[dict[str, float]], list[dict[str, float]]]:
    """Load the saved state, if there is one; return its curve and costs."""
    if team.leads:
        checkpoint.make_current()
    team.all_equal(0)  # the other processes wait for the leader
    saved = checkpoint.load()
    epochs = len(saved["curve"]) if saved else 0
    if not team.all_equal(epochs):
        raise TrainingError(
            f"{checkpoint.path}: the processes of the team find different checkpoints; "
            "run all machines in one shared folder"
        )
    if saved is None:
        return [], []
    task.restore(saved["task"])
    if team.leads:
        say(f"{task.name}: continuing after epoch {epochs} of {task.epochs} ({checkpoint.path})")
    return saved["curve"], saved["costs"]


def _run_epoch(task: Task, epoch: int, progress: Progress) -> tuple[dict[str, float], dict[str, float]]:
    """Train one epoch; return its metrics (the task's own, and the mean of each loss) and its cost."""
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
    """Check that a task's state has no NaN or infinite value.

    Args:
        state: the result of a task's ``state``.
        stage: the task's name in messages.
        epoch: the epoch, from 0.
        name: name of the part, within the state.

    Raises:
        DivergedError: a value is not finite; the message names the part.
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
