"""The typed schema of params.yaml: the only way in which a run's configuration enters the code.

The models are frozen: a stage hands its section down as a function argument and nothing changes on the way. Most
sections are in ``pipeline.config.pictures`` and ``pipeline.config.learning``; what an adaptation method takes is
declared by the method, in ``pipeline.config.methods``. Reading: ``pipeline.config.load``.
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
        bootstrap: resamples of the 95 % interval.
        tsne_samples: pictures per domain in the t-SNE figure.
    """

    bootstrap: PositiveInt
    tsne_samples: Annotated[int, Field(ge=10, le=1000)]


class ReportParams(Section):
    """The report.

    Attributes:
        pictures: whether reports/index.html holds small copies of the crops, which licensed sets forbid to pass on.
    """

    pictures: bool = False


class TrackingParams(Section):
    """MLflow. The server is named by MLFLOW_TRACKING_URI alone.

    Attributes:
        experiment: the name under which runs are logged.
    """

    experiment: Name


class RunParams(Section):
    """How an adaptation runs; ``adapt`` has the chosen method's parameters, of section ``methods``, as well.

    Attributes:
        seed: of all that is drawn at random in training.
        device: auto takes a GPU where there is one.
    """

    seed: Seed
    device: Literal["auto", "cpu", "cuda"]
    adapt: SerializeAsAny[AdaptParams]
    evaluate: EvaluateParams
    compute: ComputeParams
    report: ReportParams = ReportParams()
    tracking: TrackingParams


class ModelRunParams(RunParams):
    """The same with what a trained model brings.

    Attributes:
        source: the labelled set that stage 1 learns from.
        targets: the sets to adapt to, whose labels only the evaluation sees.
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
    """What to say of a set that is not among those that are there."""
    if name in DATASETS:
        return f"data set {name!r} is not in data.sets; add it there"
    return f"unknown data set {unknown(name, present)}. A folder of your own pictures is named in data.folder_sets"
