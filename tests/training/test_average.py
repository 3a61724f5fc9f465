"""The average over steps against the recursion written out."""

import torch
from torch import nn

from pipeline.training.average import Average


def test_it_is_the_exponential_moving_average_from_the_start_on() -> None:
    layer, norm = nn.Linear(2, 1, bias=False), nn.BatchNorm1d(2)
    with torch.no_grad():
        layer.weight.fill_(2.0)
    average = Average({"layer": layer, "norm": norm}, 0.9)
    expected, mean = 2.0, 0.0
    for step in range(5):
        with torch.no_grad():
            layer.weight.fill_(float(step))
            assert norm.running_mean is not None
            norm.running_mean.fill_(10.0 * step)
        average.update()
        expected = 0.9 * expected + 0.1 * step
        mean = 0.9 * mean + 0.1 * 10.0 * step
    assert torch.allclose(average["layer"].get_parameter("weight"), torch.tensor(expected))
    assert torch.allclose(average["norm"].get_buffer("running_mean"), torch.tensor(mean))
    assert layer.weight[0, 0].item() == 4.0


def test_without_decay_it_is_the_module_itself() -> None:
    layer = nn.Linear(2, 1)
    average = Average({"layer": layer}, 0.0)
    average.update()
    assert average["layer"] is layer
    assert average.parts() == {}


def test_counting_steps_it_forgets_where_it_began() -> None:
    layer = nn.Linear(1, 1, bias=False)
    with torch.no_grad():
        layer.weight.fill_(100.0)
    average = Average({"layer": layer}, 0.9)
    expected = 100.0
    for step in range(8):
        with torch.no_grad():
            layer.weight.fill_(float(step))
        average.update(step)
        decay = min(0.9, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * step
    assert torch.allclose(average["layer"].get_parameter("weight"), torch.tensor(expected))
    assert expected < 7.0
