"""Checkpoints: files from which an interrupted training continues."""

import errno
import hashlib
import json
import pickle
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from pipeline.config.dependencies import flatten
from pipeline.files.atomic import atomic_path, remove_leftovers, storage_error
from pipeline.files.io import read_json, write_json
from pipeline.progress import say

SHOWN_DIFFERENCES = 8
"""Maximum number of differences between two trainings that a message lists."""


@dataclass(frozen=True)
class Checkpoint:
    """The file with the state of a training, and everything that determines the training's result.

    Attributes:
        path: the file.
        made_from: JSON values, such as parameters and digests of data and code. A state that was made from anything
            else is not continued. It is renamed beside ``path``, and continued when its own training runs again.
    """

    path: Path
    made_from: Mapping[str, Any]

    @cached_property
    def fingerprint(self) -> str:
        """The digest of ``made_from``."""
        return hashlib.sha256(json.dumps(self.made_from, sort_keys=True).encode()).hexdigest()

    def save(self, state: dict[str, Any]) -> None:
        """Write ``state`` (tensors and plain values) and the states of PyTorch's random generators, atomically.

        Raises:
            StorageError: the file cannot be written, for example because the disk is full; the previous file stays.
        """
        content = {
            "fingerprint": self.fingerprint,
            "made_from": flatten(self.made_from),
            "random": _random_states(),
            **state,
        }
        with atomic_path(self.path) as temporary:
            try:
                torch.save(content, temporary)
            except RuntimeError as error:  # PyTorch hides the system's own error
                raise storage_error(self.path, error) from error

    def load(self) -> dict[str, Any] | None:
        """Return the last saved state and restore PyTorch's random generators; None if this training has no state.

        If the file cannot be read, a message says so, and training starts from the beginning. Before, one process must
        call ``make_current``.
        """
        content = _read(self.path)
        if content is None or content["fingerprint"] != self.fingerprint:
            return None
        _set_random_states(content["random"])
        return content

    def make_current(self) -> None:
        """Rename another training's state; if this training's state was renamed before, restore its name."""
        remove_leftovers(self.path)
        aside = self._aside(self.fingerprint)
        found = _read(self.path, mapped=True)
        if found is not None and found["fingerprint"] != self.fingerprint:
            kept = self._aside(found["fingerprint"])
            say(
                f"{self.path}: the state after epoch {len(found.get('curve', ()))} of another training, which differs "
                f"in {_differences(found.get('made_from', {}), flatten(self.made_from))}. It is kept as {kept}"
                f"{'' if aside.is_file() else '; this training starts from the beginning'}"
            )
            _move(self.path, kept)
        if aside.is_file() and not self.path.is_file():
            say(f"{aside}: a saved state of this training, which now continues")
            _move(aside, self.path)

    def keep_run(self, run: Mapping[str, Any]) -> None:
        """Write the run (JSON values) that this training is logged in beside the checkpoint."""
        write_json(_run_path(self.path), {"fingerprint": self.fingerprint, **run})

    def run(self) -> dict[str, Any] | None:
        """Return the run that ``keep_run`` wrote for this training; None if there is none."""
        path = _run_path(self.path)
        if not path.is_file():
            return None
        try:
            run: dict[str, Any] = read_json(path)
            return run if run.pop("fingerprint") == self.fingerprint else None
        except (OSError, ValueError, AttributeError, KeyError, TypeError, RecursionError) as error:
            reason = str(error.__cause__ or error) or type(error).__name__
            say(f"{path} cannot be read ({reason}); a new MLflow run is opened")
            return None

    def remove(self) -> None:
        """Remove the file and the note on its run. Call this when the outputs are written."""
        remove_leftovers(self.path)
        self.path.unlink(missing_ok=True)
        _run_path(self.path).unlink(missing_ok=True)

    def _aside(self, fingerprint: str) -> Path:
        """Return the path of the state with this fingerprint while another training uses ``path``."""
        return self.path.with_suffix(f".{fingerprint[:12]}{self.path.suffix}")


def _run_path(path: Path) -> Path:
    return path.with_suffix(".run.json")


def _move(path: Path, to: Path) -> None:
    """Rename a checkpoint and the note on its run."""
    path.replace(to)
    if _run_path(path).is_file():
        _run_path(path).replace(_run_path(to))


def _read(path: Path, mapped: bool = False) -> dict[str, Any] | None:
    """Read a checkpoint; return None if there is none, or, with a message, if it cannot be read.

    Args:
        path: the file.
        mapped: leave its tensors in the file, to read only the other content.
    """
    if not path.is_file():
        return None
    try:
        content: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True, mmap=mapped)
    except (RuntimeError, EOFError, ValueError, KeyError, OSError, pickle.UnpicklingError) as error:
        # An empty file cannot be mapped (EINVAL). Other system errors do not mean that the file is damaged.
        if isinstance(error, OSError) and error.errno not in (None, errno.EINVAL):
            raise
        say(f"{path} cannot be read ({error}); training starts from the beginning")
        return None
    return content


def _differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """Return the first keys in which two trainings differ, with their values if these are short."""
    keys = [key for key in {**before, **now} if before.get(key) != now.get(key)]
    texts = [_difference(key, before.get(key), now.get(key)) for key in keys[:SHOWN_DIFFERENCES]]
    more = f" and {len(keys) - SHOWN_DIFFERENCES} more" if len(keys) > SHOWN_DIFFERENCES else ""
    return f"{', '.join(texts)}{more}" if texts else "its inputs"


def _difference(key: str, before: Any, now: Any) -> str:
    if len(f"{before}{now}") > 60:  # digests
        return key
    return f"{key} ({before} → {now})"


def _random_states() -> dict[str, Any]:
    """Return the states of PyTorch's global random generators. Some methods use them; the tasks here have their own."""
    return {"cpu": torch.get_rng_state(), "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []}


def _set_random_states(states: dict[str, Any]) -> None:
    torch.set_rng_state(states["cpu"])
    # Training may continue with another number of GPUs.
    for index, state in enumerate(states["cuda"][: torch.cuda.device_count()]):
        torch.cuda.set_rng_state(state, index)
