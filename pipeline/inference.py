"""Projections and probabilities of whole data sets, in evaluation mode and without gradients."""

import torch
from torch import Tensor
from tqdm import tqdm

from pipeline import augment
from pipeline.batches import DeviceCrops, prefetched
from pipeline.nets import AdaptedNetwork, Network

BATCH = 256


@torch.no_grad()
def project(network: Network, crops: DeviceCrops, rows: Tensor, eval_crop: float, shown: bool = True) -> Tensor:
    """z of the evaluation view of ``rows`` (int64, CPU): len(rows)×d float on the crops' device.

    The network is put into evaluation mode for the pass and left in the mode it was in. ``shown``: with a bar.
    """
    if len(rows) == 0:
        return torch.empty(0, network.head.dim, device=crops.device)
    was_training = network.training
    network.eval()
    chunks = rows.split(BATCH)
    bar = tqdm(
        prefetched(map(crops.batch, chunks)), "predict", len(chunks), leave=False, unit="batch", disable=not shown
    )
    parts = [network(augment.evaluation_view(augment.to_float(images), eval_crop)) for images in bar]
    network.train(was_training)
    return torch.cat(parts)


@torch.no_grad()
def classify(model: AdaptedNetwork, crops: DeviceCrops, rows: Tensor, eval_crop: float) -> tuple[Tensor, Tensor]:
    """Projections (len(rows)×d) and class probabilities (len(rows)×k) of ``rows``, float on the crops' device."""
    z = project(model.network, crops, rows, eval_crop)
    return z, torch.softmax(model.prototypes(z), dim=1)
