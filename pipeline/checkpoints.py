"""Checkpoints: the file in which an interrupted training goes on."""

import pickle
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from pipeline.files import atomic_path, not_written, read_json, remove_leftovers, write_json


@dataclass(frozen=True)
class Checkpoint:
    """Where a training keeps its state, and the digest of all that decides its result (``training.fingerprint``)."""

    path: Path
    fingerprint: str

    def save(self, state: dict[str, Any]) -> None:
        """Write ``state`` (tensors and plain values) and the random states, atomically.

        Raises:
            StorageError: the file cannot be written, for example to a full disk; the one before it stays.
        """
        content = {"fingerprint": self.fingerprint, "random": _random_states(), **state}
        with atomic_path(self.path) as temporary:
            try:
                torch.save(content, temporary)
            except RuntimeError as error:  # PyTorch's writer hides the system's own error
                raise not_written(self.path, error) from error

    def load(self) -> dict[str, Any] | None:
        """The state that was saved last, with PyTorch's random states set; None where there is none of this training.

        A file that cannot be read is told of, and training starts from the beginning.
        """
        remove_leftovers(self.path)
        if not self.path.is_file():
            return None
        try:
            content: dict[str, Any] = torch.load(self.path, map_location="cpu", weights_only=True)
        except (RuntimeError, EOFError, ValueError, pickle.UnpicklingError) as error:
            tqdm.write(f"{self.path} cannot be read ({error}); training starts from the beginning")
            return None
        if content["fingerprint"] != self.fingerprint:
            return None
        _set_random_states(content["random"])
        return content

    def keep_run(self, run: Mapping[str, Any]) -> None:
        """Note beside the checkpoint which run (JSON values) this training is logged in."""
        write_json(self._run_path, {"fingerprint": self.fingerprint, **run})

    def run(self) -> dict[str, Any] | None:
        """What ``keep_run`` noted of this training when it was interrupted; None where there is nothing of it."""
        if not self._run_path.is_file():
            return None
        run: dict[str, Any] = read_json(self._run_path)
        return run if run.pop("fingerprint") == self.fingerprint else None

    def remove(self) -> None:
        """Once the outputs are written nothing is left to go on with."""
        remove_leftovers(self.path)
        self.path.unlink(missing_ok=True)
        self._run_path.unlink(missing_ok=True)

    @property
    def _run_path(self) -> Path:
        return self.path.with_suffix(".run.json")


def _random_states() -> dict[str, Any]:
    """For methods that draw from PyTorch's streams, in one process; the tasks here have streams of their own."""
    return {"cpu": torch.get_rng_state(), "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []}


def _set_random_states(states: dict[str, Any]) -> None:
    torch.set_rng_state(states["cpu"])
    # A training may go on with another number of GPUs: then those that are there get the states that are there.
    for index, state in enumerate(states["cuda"][: torch.cuda.device_count()]):
        torch.cuda.set_rng_state(state, index)
