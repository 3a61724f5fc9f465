"""Shift: align the target's z with the source's (class-aware shift, means or covariances), then classify it."""

from torch import Tensor

from pipeline.config.methods.shift import ShiftParams
from pipeline.methods.parts.directions import centroids, decide_by_directions
from pipeline.methods.parts.shift import ClassAware, ShiftedClassifier, alignment, class_aware
from pipeline.methods.parts.training_free import TrainingFree


class ShiftMethod(TrainingFree):
    """f and g are fixed; of the source only class means, class shares and the covariance of z are used."""

    params: ShiftParams
    model: ShiftedClassifier

    def predictor(self) -> ShiftedClassifier:
        return ShiftedClassifier(self.source_model)

    def correct(self, z: Tensor, probabilities: Tensor) -> Tensor:
        model, shift, statistics = self.model, self.model.shift, self.model.statistics
        assert statistics is not None
        if self.params.form == "class_aware":
            params = self.params
            how = ClassAware(params.rounds, params.begin, params.shares, params.guarded)
            shift.offset.copy_(-class_aware(z, model, statistics, how))
        elif self.params.form == "mean":
            shift.offset.copy_(statistics.mean() - z.mean(dim=0))
        else:
            matrix, offset = alignment(z, statistics, self.params.ridge)
            shift.matrix.copy_(matrix)
            shift.offset.copy_(offset)
        shifted = shift(z)
        decided: Tensor = model.decision(model.prototypes(shifted))
        if self.params.decide == "prototypes":
            return decided
        directions, found = centroids(shifted, decided, self.params.centroid_rounds)
        return decide_by_directions(model, directions, found, shifted, decided)
