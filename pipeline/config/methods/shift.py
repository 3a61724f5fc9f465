"""The shift's parameters."""

from typing import ClassVar, Literal

from pipeline.config.methods.base import AdaptParams, Changes
from pipeline.config.methods.space import Space
from pipeline.config.section import PositiveFloat, PositiveInt


class ShiftParams(AdaptParams):
    """Which shift, and what decides after it.

    Attributes:
        form: class_aware (from the mean that the source would have with the target's class shares), mean (from the
            source's mean) or coral (means and covariances; Sun et al., AAAI 2016).
        decide: after the shift, centroids (as of method ``centroid``) or prototypes (M_s and the source's decision).
        rounds: of class_aware: how many times shares and shift are found in turn, at most.
        begin: Of class_aware: nothing, or means, the shift of that form.
        shares: Of class_aware: those of the predicted labels, or the mean probabilities.
        guarded: Of class_aware: a round after which M's predictions have no more information is not taken, and ends it.
        centroid_rounds: how many times centroids are made.
        ridge: λ of coral, added to the covariances of features with variance 1.
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
