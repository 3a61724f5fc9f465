"""ResNet-18, -34 and -50 against torchvision's: the same tensors by the same names, the same output, the same draws."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
import torchvision

from pipeline.backbones import BACKBONES
from pipeline.backbones.parts.entry import Backbone

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("name", ["resnet18", "resnet34", "resnet50"])
def test_it_is_the_network_of_torchvision_bit_by_bit(name: str) -> None:
    torch.manual_seed(3)
    chosen = BACKBONES[name]
    assert isinstance(chosen, Backbone)
    own = chosen.build("none")
    after = torch.rand(1)
    torch.manual_seed(3)
    reference = torchvision.models.get_model(name, weights=None)
    assert torch.equal(after, torch.rand(1))  # a seed that goes on gives what it gave
    reference.fc = torch.nn.Identity()
    expected, found = reference.state_dict(), own.state_dict()
    assert list(expected) == list(found)
    assert all(torch.equal(expected[key], found[key]) for key in expected)
    images = torch.rand(2, 3, 64, 64)
    for training in (True, False):
        own.train(training)
        reference.train(training)
        assert torch.equal(own(images), reference(images))


def test_building_one_does_not_load_torchvision() -> None:
    program = "from pipeline.backbones import BACKBONES; BACKBONES['resnet50'].build('vggface2'); import sys; "
    program += "print({'torchvision', 'torch._dynamo', 'sympy'} & set(sys.modules))"
    shown = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert shown == "set()\n"
