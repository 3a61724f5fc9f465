"""The demo's encoder against torchvision's blocks: the same tensors by the same names, the same output."""

import pytest
import torch
from torchvision.models import resnet

from pipeline.backbones import resnet10
from pipeline.backbones.parts import resnet as blocks


def test_it_is_the_network_of_torchvisions_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(3)
    own = resnet10.build("none").eval()
    monkeypatch.setattr(blocks, "BasicBlock", resnet.BasicBlock)
    torch.manual_seed(3)
    reference = resnet10.build("none").eval()
    expected, found = reference.state_dict(), own.state_dict()
    assert list(expected) == list(found)
    assert all(torch.equal(expected[key], found[key]) for key in expected)
    images = torch.rand(2, 3, 112, 112)
    assert torch.equal(own(images), reference(images))
