"""Parameters of the shift methods."""

from typing import ClassVar, Literal

from pipeline.config.methods.base import AdaptParams, Changes
from pipeline.config.methods.space import Space
from pipeline.config.section import PositiveFloat, PositiveInt


class ShiftParams(AdaptParams):
    """The form of the shift, and the classifier after it.

    Attributes:
        form: class_aware (to the mean that the source would have with the target's class shares), mean (to the source's
            mean) or coral (to its mean and covariance; Sun et al., AAAI 2016).
        decide: classify the shifted z by centroids (as method ``centroid`` does) or prototypes (M_s).
        rounds: for class_aware: maximum number of alternating estimates of class shares and shift.
        begin: for class_aware: initial shift, nothing or means (the shift of form mean).
        shares: for class_aware: class shares of the predicted labels, or the mean probabilities.
        guarded: for class_aware: stop before a round that does not raise the mutual information of predictions.
        centroid_rounds: how often centroids are computed.
        ridge: for coral: λ, regularisation of the covariances, for features with variance 1.
    """

    name: ClassVar[str] = "shift"
    title: ClassVar[str] = "Class-aware shift"
    citation: ClassVar[str] = "this project"
    implementation: ClassVar[str] = "pipeline.methods.shift:ShiftMethod"
    classifier: ClassVar[str] = "pipeline.methods.parts.shift:ShiftedClassifier"
    source_free: ClassVar[bool] = True
    changes: ClassVar[Changes] = "decision"
    space: ClassVar[Space] = {"form": ("class_aware", "mean", "coral"), "decide": ("centroids", "prototypes")}
    needs_statistics: ClassVar[bool] = True

    form: Literal["class_aware", "mean", "coral"] = "class_aware"
    decide: Literal["centroids", "prototypes"] = "centroids"
    rounds: PositiveInt = 10
    begin: Literal["nothing", "means"] = "nothing"
    shares: Literal["labels", "probabilities"] = "labels"
    guarded: bool = True
    centroid_rounds: PositiveInt = 2
    ridge: PositiveFloat = 1.0
