"""Mean teacher: consistency with a weight-averaged teacher on the target (French et al., ICLR 2018)."""

from typing import ClassVar

import torch
from torch import Tensor

from pipeline.compute.batchnorm import synchronised, training_pass
from pipeline.config.methods.mean_teacher import MeanTeacherParams
from pipeline.methods.parts.two_domains import Domains, TwoDomains


class MeanTeacher(TwoDomains):
    """The student sees one view, the teacher another. The teacher is the average of f, g and M; it is the final model.

    As in the released code, the teacher's batch norms are in training mode. They normalise by the batch of target
    pictures, and their running statistics follow only these.
    """

    params: MeanTeacherParams
    views: ClassVar[int] = 2
    averages_statistics: ClassVar[bool] = False

    def prepare(self) -> None:
        super().prepare()
        if self.team.size > 1:
            synchronised(self.model.network, self.team.device)

    def losses(self, batch: Domains) -> dict[str, Tensor]:
        student = self.model.decision(self.prototypes(batch.target))  # as the teacher decides
        difference = consistency(student, self._teacher_probabilities(batch), self.params.threshold)
        return {"source": self.supervised(batch), "consistency": self.params.weight * difference}

    @torch.no_grad()
    def _teacher_probabilities(self, batch: Domains) -> Tensor:
        """Return the teacher's predictions for the second views of the whole team's batch: T×k."""
        _, second = batch.target_views.chunk(2)
        teacher = self.model.network
        teacher.train()
        with self.team.autocast(), training_pass(teacher, self.params.batch_norm, "target"):
            z = teacher(second)
        teacher.eval()
        return self.team.gather(self.model.decision(self.model.prototypes(z)), len(batch.target_index))


def consistency(student: Tensor, teacher: Tensor, threshold: float) -> Tensor:
    """Return the mean squared difference over pictures and classes (secs. 3.1 and 3.2).

    Args:
        student: probabilities, N×k float.
        teacher: probabilities, N×k float.
        threshold: pictures whose largest teacher probability is below this contribute 0.

    Returns:
        A scalar.
    """
    sure = (teacher.amax(dim=1) >= threshold).to(student.dtype)
    return ((student - teacher).square().mean(dim=1) * sure).mean()
