"""Mean teacher: the target's pictures predicted as an average of former selves does (French et al., ICLR 2018)."""

from typing import ClassVar

import torch
from torch import Tensor

from pipeline.compute.batchnorm import following, over_processes
from pipeline.config.methods.mean_teacher import MeanTeacherParams
from pipeline.methods.parts.two_domains import Domains, TwoDomains


class MeanTeacher(TwoDomains):
    """The student sees one view and the teacher another; the teacher is the average of f, g and M, and predicts.

    As in the released code the teacher's batch norms are in training mode: normalised by the batch of target pictures,
    which alone their running statistics follow.
    """

    params: MeanTeacherParams
    views: ClassVar[int] = 2
    averages_statistics: ClassVar[bool] = False

    def prepare(self) -> None:
        super().prepare()
        if self.team.size > 1:
            over_processes(self.model.network, self.team.device)

    def losses(self, batch: Domains) -> dict[str, Tensor]:
        student = self.model.decision(self.prototypes(batch.target))  # as the teacher decides
        difference = consistency(student, self._teacher_probabilities(batch), self.params.threshold)
        return {"source": self.supervised(batch), "consistency": self.params.weight * difference}

    @torch.no_grad()
    def _teacher_probabilities(self, batch: Domains) -> Tensor:
        """What the teacher predicts for the second views of the whole team's batch: T×k."""
        _, second = batch.target_views.chunk(2)
        teacher = self.model.network
        teacher.train()
        with self.team.autocast(), following(teacher, self.params.batch_norm, "target"):
            z = teacher(second)
        teacher.eval()
        return self.team.gather(self.model.decision(self.model.prototypes(z)), len(batch.target_index))


def consistency(student: Tensor, teacher: Tensor, threshold: float) -> Tensor:
    """Mean over pictures and classes of the squared difference, 0 where the teacher is not sure (secs. 3.1 and 3.2).

    Args:
        student: probabilities, N×k float.
        teacher: probabilities, N×k float.
        threshold: the teacher is sure where its largest probability is at least this.

    Returns:
        A scalar.
    """
    sure = (teacher.amax(dim=1) >= threshold).to(student.dtype)
    return ((student - teacher).square().mean(dim=1) * sure).mean()
