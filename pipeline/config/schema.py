"""The typed schema of params.yaml, the only source of a run's configuration.

The models are frozen. A stage passes its section on as a function argument. Most sections are defined in
``pipeline.config.pictures`` and ``pipeline.config.learning``, the parameters of adaptation methods in
``pipeline.config.methods``. ``pipeline.config.load`` reads the file.
"""

from typing import Annotated, Literal, Self

from pydantic import Field, SerializeAsAny, model_validator

from pipeline.config.learning import AugmentParams, ComputeParams, ModelParams, PretrainParams, PrototypeParams
from pipeline.config.methods.base import AdaptParams
from pipeline.config.pictures import DataParams, FaceParams, SplitParams, StandinParams
from pipeline.config.section import Name, PositiveInt, Section, Seed
from pipeline.datasets import DATASETS
from pipeline.registry import unknown


class EvaluateParams(Section):
    """How a target is scored.

    Attributes:
        bootstrap: number of bootstrap resamples for the 95 % interval.
        tsne_samples: pictures per domain in the t-SNE figure.
    """

    bootstrap: PositiveInt
    tsne_samples: Annotated[int, Field(ge=10, le=1000)]


class ReportParams(Section):
    """The report.

    Attributes:
        pictures: embed small copies of the crops in reports/index.html, which licensed sets do not allow to be shared.
    """

    pictures: bool = False


class TrackingParams(Section):
    """MLflow. The server is set only by the environment variable MLFLOW_TRACKING_URI.

    Attributes:
        experiment: name of the MLflow experiment.
    """

    experiment: Name


class RunParams(Section):
    """The parameters of an adaptation run.

    Attributes:
        seed: seed of all random numbers in training.
        device: auto uses a GPU if there is one.
        adapt: section ``adapt`` together with the chosen method's section of ``methods``.
    """

    seed: Seed
    device: Literal["auto", "cpu", "cuda"]
    adapt: SerializeAsAny[AdaptParams]
    evaluate: EvaluateParams
    compute: ComputeParams
    report: ReportParams = ReportParams()
    tracking: TrackingParams


class ModelRunParams(RunParams):
    """The same with the parameters that are stored in a trained model.

    Attributes:
        source: the labelled data set of stage 1.
        targets: the data sets to adapt to; only the evaluation reads their labels.
    """

    source: Name
    targets: Annotated[tuple[Name, ...], Field(min_length=1)]
    faces: FaceParams
    model: ModelParams
    augment: AugmentParams


class Params(ModelRunParams):
    """The whole of params.yaml."""

    data: DataParams
    standins: StandinParams
    split: dict[Name, SplitParams]
    pretrain: PretrainParams
    prototypes: PrototypeParams

    @model_validator(mode="after")
    def _datasets_are_known(self) -> Self:
        present = (*self.data.sets, *self.data.folder_sets)
        for key, names in (("source", (self.source,)), ("targets", self.targets)):
            for name in names:
                if name not in present:
                    raise ValueError(f"{key}: {_absent(name, present)}")
        for name in self.split:
            if name not in DATASETS and name not in self.data.folder_sets:
                raise ValueError(f"split: {_absent(name, present)}")
        if self.source in self.targets:
            raise ValueError(f"targets: {self.source!r} is the source; a set cannot be both")
        if len(set(self.targets)) < len(self.targets):
            raise ValueError(f"targets: a set is named twice in {list(self.targets)}")
        for name in (self.source, *self.targets):
            if name not in self.split:
                raise ValueError(f"split: no entry for {name!r}; add split.{name} with a protocol")
        return self


def _absent(name: str, present: tuple[str, ...]) -> str:
    """Return the error message for a data set that is not listed in section data."""
    if name in DATASETS:
        return f"data set {name!r} is not in data.sets; add it there"
    return f"unknown data set {unknown(name, present)}. A folder of your own pictures is named in data.folder_sets"
