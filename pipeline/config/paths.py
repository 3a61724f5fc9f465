"""The paths of all stages' outputs, relative to the project's root. dvc.yaml has the same paths."""

from dataclasses import dataclass
from pathlib import Path
from typing import Self

REPORTS = Path("reports")
PRETRAINED = Path("models/pretrained")
PROTOTYPES = Path("models/prototypes")
FEATURES = Path("data/features")
TRIALS = Path("data/trials")
PAPER = Path("params/paper.yaml")
SOURCE_REPORT = REPORTS / "source.json"
TABLES = REPORTS / "tables.md"
HEADLINES = REPORTS / "metrics.json"
FIGURES = REPORTS / "figures"
PAGE = REPORTS / "index.html"
STUDIES = REPORTS / "studies"
FACES_MARKDOWN = REPORTS / "faces.md"
CONTACT_SHEETS = REPORTS / "contact-sheets"


def standins(dataset: str) -> Path:
    """The drawn stand-in for a data set, in its file layout."""
    return Path("data/standins") / dataset


def crops(dataset: str) -> Path:
    """The packed crop store of a data set."""
    return Path("data/crops") / dataset


def crops_in_progress(dataset: str) -> Path:
    """Intermediate files from which an interrupted faces stage continues; not versioned."""
    return Path("data/.in-progress/crops") / dataset


def study_results(name: str) -> Path:
    """The results of a study that ran in this workspace (``pipeline.studies.here``); not versioned."""
    return Path("data/studies") / name


def faces_report(dataset: str) -> Path:
    """Counts of the faces stage."""
    return Path("data/faces") / f"{dataset}.json"


def split(dataset: str) -> Path:
    """Training and test rows of a data set."""
    return Path("data/splits") / f"{dataset}.parquet"


def split_report(dataset: str) -> Path:
    """Protocol, counts and overlaps of a data set's split."""
    return Path("data/splits") / f"{dataset}.json"


def duplicates(dataset: str) -> Path:
    """Pairs of (nearly) identical pictures, within a data set or between it and another one."""
    return Path("data/duplicates") / f"{dataset}.csv"


def adapted(target: str) -> Path:
    """The model adapted to a target."""
    return Path("models/adapted") / target


def model_description(folder: Path) -> Path:
    """The JSON file that describes the model in ``folder``."""
    return folder / "model.json"


def outcome(target: str) -> Path:
    """Predictions and embeddings of a target by the source model and the adapted one."""
    return Path("data/outcomes") / f"{target}.npz"


def epochs(target: str) -> Path:
    """The predicted class of every test picture of a target, by epoch."""
    return Path("data/epochs") / f"{target}.parquet"


def features(dataset: str) -> Path:
    """Features of a data set's pictures, for adaptations that train only the head."""
    return FEATURES / dataset


def features_shard(dataset: str, number: int, count: int) -> Path:
    """One shard of these features; not versioned."""
    return Path("data/.shards/features") / dataset / f"{number}-of-{count}"


def predictions(target: str) -> Path:
    """The adapted model's prediction for every picture of a target."""
    return Path("data/predictions") / f"{target}.csv"


def curve(name: str) -> Path:
    """Training metrics by epoch."""
    return REPORTS / "curves" / f"{name}.csv"


def validations(target: str) -> Path:
    """The validators' values for a target, by epoch, without its labels."""
    return REPORTS / "validations" / f"{target}.csv"


def evaluation(target: str) -> Path:
    """Scores, confusion matrices and t-SNE coordinates of a target."""
    return REPORTS / "evaluate" / target


def result(target: str) -> Path:
    """The scores of a target and what they depend on (``pipeline.evaluation.records.Result``)."""
    return evaluation(target) / "result.json"


def metrics(target: str) -> Path:
    """The metrics of a target that DVC and MLflow show."""
    return evaluation(target) / "metrics.json"


def evaluation_table(target: str, name: str) -> Path:
    """A table of a target's evaluation: tsne, reliability, f1, confusion or accuracy."""
    return evaluation(target) / f"{name}.csv"


def figure(target: str, kind: str) -> Path:
    """A figure of the report (``pipeline.reporting.figures``)."""
    return FIGURES / f"{kind}_{target}.png"


def checkpoint(name: str) -> Path:
    """The checkpoint from which an interrupted training continues; not versioned."""
    return Path("models/.checkpoints") / f"{name}.pt"


@dataclass(frozen=True)
class AdaptationPaths:
    """The output paths of an adaptation.

    Attributes:
        model: folder of the adapted model.
        outcome: predictions and embeddings of the target.
        epochs: the predicted class of every test picture, by epoch.
        validations: the validators' values, by epoch.
        curve: losses by epoch.
        checkpoint: checkpoint from which an interrupted training continues.
        features: parent folder of the features of each data set, if only the head is trained.
    """

    model: Path
    outcome: Path
    epochs: Path
    validations: Path
    curve: Path
    checkpoint: Path
    features: Path

    @classmethod
    def of_target(cls, target: str) -> Self:
        """Return the paths of the adapt stage."""
        return cls(
            adapted(target),
            outcome(target),
            epochs(target),
            validations(target),
            curve(f"adapt-{target}"),
            checkpoint(f"adapt-{target}"),
            FEATURES,
        )

    @classmethod
    def below(cls, folder: Path, in_progress: Path) -> Self:
        """Return the paths of an adaptation outside of the pipeline.

        Args:
            folder: folder for model, validations and curve.
            in_progress: folder for intermediate files.
        """
        return cls(
            folder / "model",
            in_progress / "outcome.npz",
            in_progress / "epochs.parquet",
            folder / "validations.csv",
            folder / "curve.csv",
            in_progress / "adapt.pt",
            in_progress / "features",
        )
