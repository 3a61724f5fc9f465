"""The errors a user can cause; each message names the file, key or value and says what to do."""

from typing import Any

LONGEST_SHOWN = 80
"""Characters of a value, or of a key, that a message shows."""


class PipelineError(Exception):
    """Base of every error that is reported to the user as one message, without a traceback."""


class ParamsError(PipelineError):
    """params.yaml has an unknown key, a missing key or a value out of range."""


class DatasetError(PipelineError):
    """A data set is missing, is laid out differently than documented, or has too many unreadable pictures."""


class UnreadableImageError(PipelineError):
    """One picture cannot be decoded. Counted and listed by the faces stage, which goes on with the rest."""


class RefusedImageError(UnreadableImageError):
    """The system would not read a picture out: no permission, a failing disk, a file that vanished. Tried again."""


class StorageError(PipelineError):
    """A disk is full or fails while results are written; what was written before is kept."""


class DamagedFileError(PipelineError, ValueError):
    """A file that a stage or command left is gone, or is no longer what was written, as after a power cut."""


class WeightsError(PipelineError):
    """A weight file or checkpoint does not fit the network it is loaded into."""


class TrainingError(PipelineError):
    """Training cannot go on: a loss is not finite, or a split has nothing to train on."""


class DivergedError(TrainingError):
    """A loss, a weight or a prediction is not finite: another configuration or another target may go well."""


class TrackingError(PipelineError):
    """The MLflow server cannot be reached or refuses the run."""


def short_repr(value: Any) -> str:
    """``repr`` of a value, cut where it is long."""
    text = repr(value)
    return text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}…"


def short_key(key: Any) -> str:
    """A key as it stands in a file, cut where it is long; as ``repr`` writes it where it cannot be printed."""
    text = str(key)
    return text if text.isprintable() and len(text) <= LONGEST_SHOWN else short_repr(key)
