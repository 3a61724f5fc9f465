"""Mean teacher: the target's pictures predicted as an average of former selves does (French et al., ICLR 2018)."""

from typing import ClassVar

import torch
from torch import Tensor

from pipeline.config.methods.mean_teacher import MeanTeacherParams
from pipeline.methods.parts.two_domains import Domains, TwoDomains


class MeanTeacher(TwoDomains):
    """The student sees one view and the teacher another; the teacher is the average of f, g and M, and predicts."""

    params: MeanTeacherParams
    views: ClassVar[int] = 2

    def losses(self, batch: Domains) -> dict[str, Tensor]:
        """Cross entropy on the source; squared difference to the teacher where it is sure (sec. 3.1 and 3.2)."""
        student = self.model.decision(self.prototypes(batch.target))  # as the teacher decides
        difference = consistency(student, self._taught(batch), self.params.threshold)
        return {"source": self.supervised(batch), "consistency": self.params.weight * difference}

    @torch.no_grad()
    def _taught(self, batch: Domains) -> Tensor:
        """The teacher's probabilities for the second views of the whole team's batch."""
        _, second = batch.target_views.chunk(2)
        self.model.eval()
        with self.team.autocast():
            z = self.model.network(second)
        return self.team.gather(self.model.decision(self.model.prototypes(z)), len(batch.target_index))


def consistency(student: Tensor, teacher: Tensor, threshold: float) -> Tensor:
    """Mean over pictures and classes of the squared difference, 0 where the teacher is not sure: a scalar.

    student, teacher: N×k probabilities; the teacher is sure where its largest is at least ``threshold``.
    """
    sure = (teacher.amax(dim=1) >= threshold).to(student.dtype)
    return ((student - teacher).square().mean(dim=1) * sure).mean()
