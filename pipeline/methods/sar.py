"""SAR: sharpness-aware entropy minimisation of reliable predictions (Niu et al., ICLR 2023)."""

import math

import torch
from torch import Tensor, nn

from pipeline.config.methods.sar import SarParams
from pipeline.methods.parts.decision import decision_logits, entropy
from pipeline.methods.parts.norms import NORMS, norms_of, train_only
from pipeline.methods.parts.two_domains import Batch, Domains, TwoDomains


class Recovery(nn.Module):
    """Detects the collapse of a model by the moving average of the minimised entropy.

    Attributes:
        average: the moving average, a float; 0 before the first step.
        steps: number of steps in the average, int64.
    """

    average: Tensor
    steps: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("average", torch.zeros(()))
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))

    def collapsed(self, value: Tensor, bound: float) -> bool:
        """Add a step's entropy; if the average falls below ``bound``, restart it and return True."""
        self.average.copy_(torch.where(self.steps > 0, 0.9 * self.average + 0.1 * value, value))
        self.steps += 1
        if bool(self.average >= bound):
            return False
        self.steps.zero_()
        return True


class Sar(TwoDomains):
    """Trains scale and shift of the earlier normalisation layers, on the target alone, as Tent does."""

    params: SarParams

    def prepare(self) -> None:
        self._margin = self.params.margin * math.log(int(self.source_model.decision.possible.sum()))
        layers = norms_of(self.source_model.network, NORMS)
        kept = round(self.params.fixed * len(layers))
        self._trained = train_only(self.source_model, layers[: max(1, len(layers) - kept)])
        super().prepare()
        self._start = [parameter.detach().clone() for parameter in self._trained]

    def own_modules(self) -> dict[str, nn.Module]:
        return {"recovery": Recovery()}

    def losses(self, batch: Domains) -> dict[str, Tensor]:
        # Eq. 2.
        found = self._entropies(batch.target)
        return {"entropy": mean_where(found, found < self._margin)}

    def step(self, batch: Batch, progress: float) -> dict[str, Tensor]:
        """Climb to the point of highest loss nearby, and descend by the gradient there (eqs. 3 and 4)."""
        self.set_rates(progress)
        seen = self.embedded(batch, progress)
        found = self._entropies(seen.target)
        reliable = found < self._margin
        loss = mean_where(found, reliable)
        self.optimiser.zero_grad()
        self.team.backward(loss)
        before = [parameter.detach().clone() for parameter in self._trained]
        climb(self._trained, self.params.radius)

        again = self._entropies(self.whole(self.embed(seen.target_views, "target"), batch.target))
        still = reliable & (again < self._margin)
        sharp = mean_where(again, still)
        self.optimiser.zero_grad()
        self.team.backward(sharp)
        with torch.no_grad():
            for parameter, value in zip(self._trained, before, strict=True):
                parameter.copy_(value)
        self.optimiser.step()
        self._recover(sharp.detach(), still)
        self._average.update()
        return {"loss": loss.detach(), "sharp": sharp.detach(), "reliable": reliable.float().mean()}

    def _entropies(self, z: Tensor) -> Tensor:
        return entropy(torch.softmax(decision_logits(self.prototypes(z), self.model.decision), dim=1))

    @torch.no_grad()
    def _recover(self, value: Tensor, counted: Tensor) -> None:
        """Reset the layers to the source model's if the model has collapsed (sec. 3.3)."""
        recovery = self.own["recovery"]
        assert isinstance(recovery, Recovery)
        value, any_counted = self.team.from_leader(torch.stack([value, counted.any().to(value.dtype)]))
        if bool(any_counted > 0) and recovery.collapsed(value, self.params.recover_below):
            for parameter, start in zip(self._trained, self._start, strict=True):
                parameter.copy_(start)
            self.optimiser.state.clear()


def mean_where(values: Tensor, chosen: Tensor) -> Tensor:
    """Return the mean of the chosen values (N float, N bool); 0 with gradient 0 if none is chosen."""
    return torch.where(chosen, values, 0.0).sum() / chosen.sum().clamp(min=1)


@torch.no_grad()
def climb(parameters: list[nn.Parameter], radius: float) -> None:
    """Move the parameters by a step of length ``radius`` along their joint gradient (Foret et al., ICLR 2021)."""
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    length = torch.stack([gradient.norm() for gradient in gradients]).norm()
    for parameter in parameters:
        if parameter.grad is not None:
            parameter.add_(parameter.grad * (radius / (length + 1e-12)))
