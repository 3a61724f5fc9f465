"""The errors a user can cause; each message names the file, key or value and says what to do."""


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


class WeightsError(PipelineError):
    """A weight file or checkpoint does not fit the network it is loaded into."""


class TrainingError(PipelineError):
    """Training cannot go on: a loss is not finite, or a split has nothing to train on."""


class TrackingError(PipelineError):
    """The MLflow server cannot be reached or refuses the run."""
