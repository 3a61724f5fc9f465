"""Whole sets through a network, a batch at a time."""

import numpy as np
import torch

from pipeline.data.batches import DeviceCrops
from pipeline.networks.inference import evaluation_views


def test_on_a_cpu_a_network_gets_few_pictures_at_a_time() -> None:
    """256 of 112×112 take a gigabyte in it."""
    inputs = DeviceCrops(np.zeros((130, 112, 112, 3), np.uint8), torch.device("cpu"))
    views = evaluation_views(inputs, torch.arange(130), 0.85, show_progress=False)
    assert [len(view) for view in views] == [64, 64, 2]
