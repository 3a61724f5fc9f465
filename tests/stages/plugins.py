"""A data set, a backbone and a method from outside of the package: what docs/extending.md asks of each, at toy size."""

from collections.abc import Iterator
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from pipeline.backbones import Backbone
from pipeline.config.methods import AdaptParams
from pipeline.config.section import PositiveFloat
from pipeline.data.batches import generator_for, shuffled_batches
from pipeline.datasets.parts.base import Dataset, Sample
from pipeline.methods import Method
from pipeline.training.loop import Epoch


class Toy(Dataset):
    """Files 3_17.png: class and number."""

    name = "toy"
    title = "Toy faces"
    layout = "3_17.png: class and number"

    def scan(self) -> Iterator[Sample]:
        """One sample per picture."""
        for path in self.root.glob("*.png"):
            yield Sample(self.key(path), int(path.stem[0]))


def build(_: str) -> nn.Module:
    """The mean colours of sixteen squares."""
    return nn.Sequential(nn.Conv2d(3, 8, 7, stride=4), nn.ReLU(), nn.AdaptiveAvgPool2d(4), nn.Flatten())


SQUARES = Backbone(name="squares", title="Squares", features=128, build=build)


class DriftParams(AdaptParams):
    """pull: step width."""

    name: ClassVar[str] = "drift"
    title: ClassVar[str] = "Drift"
    citation: ClassVar[str] = "nowhere"
    implementation: ClassVar[str] = "tests.stages.plugins:Drift"

    pull: PositiveFloat = 0.1


class Drift(Method):
    """Pull the prototypes towards the mean projection of the target."""

    params: DriftParams

    def prepare(self) -> None:
        """The source model itself is changed."""
        self.model = self.source_model
        self.parts = {"model": self.model}

    def begin_epoch(self, epoch: int) -> Epoch:
        """Batches of target rows."""
        self.predict_target()
        generator = generator_for(self.seed, self.name, epoch)
        size, steps = self.params.batch_size, self.params.steps_per_epoch or 1
        return Epoch(shuffled_batches(self.target.train_rows, size, steps, generator), steps, size * steps, {})

    @torch.no_grad()
    def step(self, batch: Any, progress: float) -> dict[str, Tensor]:
        """One pull."""
        inputs = self.target.inputs
        z = self.source_model.network.eval()(inputs.evaluation_view(inputs.batch(batch), self.augment_params.eval_crop))
        loss = (z.mean(dim=0) - self.source_model.prototypes.matrix).square().mean()
        self.source_model.prototypes.matrix.lerp_(z.mean(dim=0), self.params.pull)
        return {"loss": loss}
