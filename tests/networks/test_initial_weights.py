"""Statistics of batch norms, measured on crops: what they are, and that the function stays."""

import numpy as np
import pytest
import torch

from pipeline.config.learning import ModelParams
from pipeline.data.augment import evaluation_view, to_float
from pipeline.data.batches import DeviceCrops
from pipeline.networks.initial_weights import measure
from pipeline.networks.network import Encoder

PARAMS = ModelParams(backbone="resnet10", weights="none", projection_hidden=16, projection_dim=8)


@pytest.mark.slow
def test_the_function_stays_and_the_statistics_are_those_of_the_inputs() -> None:
    torch.manual_seed(0)
    encoder = Encoder(PARAMS).eval()
    images = np.random.default_rng(0).integers(0, 256, (96, 112, 112, 3), np.uint8)
    crops, rows = DeviceCrops(images, torch.device("cpu")), torch.arange(96)
    views = evaluation_view(to_float(crops.batch(rows)), 0.85)
    with torch.no_grad():
        before = encoder(views)
        measure(encoder, crops, rows, eval_crop=0.85)
        assert torch.allclose(encoder.eval()(views), before, atol=1e-5)
        seen: list[torch.Tensor] = []
        stem = next(module for module in encoder.trunk.modules() if isinstance(module, torch.nn.BatchNorm2d))
        hook = stem.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
        encoder(views)
        hook.remove()
        assert stem.running_mean is not None
        assert stem.running_var is not None
        assert torch.allclose(stem.running_mean, seen[0].mean(dim=(0, 2, 3)), atol=1e-5)
        assert torch.allclose(stem.running_var, seen[0].var(dim=(0, 2, 3), correction=0), rtol=1e-4)
        # In training mode the batch's own statistics are the same ones, so the features hardly move.
        trained = encoder.train()(views)
    assert torch.allclose(trained, before, atol=1e-3)
