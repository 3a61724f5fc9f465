"""Projections and probabilities of whole data sets, in evaluation mode and without gradients."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from pipeline.data import augment
from pipeline.data.batches import DeviceCrops, prefetched
from pipeline.data.crops import CROP_SIZE
from pipeline.data.outcome import Predictions, Sample
from pipeline.networks.network import Classifier, Network
from pipeline.progress import progress_bar

BATCH = 256


@torch.no_grad()
def project(network: Network, crops: DeviceCrops, rows: Tensor, eval_crop: float) -> Tensor:
    """Project the evaluation views of some crops.

    Args:
        network: computes z.
        crops: of the domain.
        rows: int64, on the CPU.
        eval_crop: the view's side, as a share of the crop's.

    Returns:
        len(rows)×d float, on the crops' device.
    """
    with evaluating(network):
        return torch.cat([network(images) for images in evaluation_views(crops, rows, eval_crop, show_progress=True)])


@torch.no_grad()
def classify(
    model: Classifier, crops: DeviceCrops, rows: Tensor, eval_crop: float, show_progress: bool = True
) -> tuple[Tensor, Tensor]:
    """Embeddings and class probabilities of the evaluation views of some crops.

    Args:
        model: that predicts.
        crops: of the domain.
        rows: int64, on the CPU.
        eval_crop: the view's side, as a share of the crop's.
        show_progress: whether there is a progress bar.

    Returns:
        Embeddings (len(rows)×d) and probabilities (len(rows)×k), float on the crops' device.
    """
    with evaluating(model):
        parts = [model.embed(images) for images in evaluation_views(crops, rows, eval_crop, show_progress)]
    embeddings, probabilities = zip(*parts, strict=True)
    return torch.cat(embeddings), torch.cat(probabilities)


def predict_domains(
    model: Classifier, source: DeviceCrops, target: DeviceCrops, samples: tuple[Sample, Sample], eval_crop: float
) -> Predictions:
    """What ``model`` predicts for all the target's crops, and how it embeds the samples of source and target."""
    of_source, of_target = (torch.from_numpy(sample.rows) for sample in samples)
    embeddings, probabilities = classify(model, target, torch.arange(target.count), eval_crop)
    source_embeddings, source_probabilities = classify(model, source, of_source, eval_crop)
    return Predictions(
        probabilities=probabilities.cpu().numpy(),
        source_probabilities=source_probabilities.cpu().numpy(),
        source=source_embeddings.cpu().numpy(),
        target=embeddings.cpu()[of_target].numpy(),
    )


@contextmanager
def evaluating(module: nn.Module) -> Iterator[None]:
    """Put a module into evaluation mode for the context, and back into the mode it was in."""
    was_training = module.training
    module.eval()
    try:
        yield
    finally:
        module.train(was_training)


def evaluation_views(crops: DeviceCrops, rows: Tensor, eval_crop: float, show_progress: bool) -> Iterator[Tensor]:
    """The evaluation views of some crops, batch by batch.

    Args:
        crops: of the domain.
        rows: int64, on the CPU.
        eval_crop: the view's side, as a share of the crop's.
        show_progress: whether there is a progress bar.

    Yields:
        Float n×3×112×112 on the crops' device; where there are no rows, one batch without images.
    """
    if len(rows) == 0:
        yield torch.empty(0, 3, CROP_SIZE, CROP_SIZE, device=crops.device)
        return
    chunks = rows.split(BATCH)
    batches = prefetched(map(crops.batch, chunks))
    for images in progress_bar(
        batches, desc="predict", total=len(chunks), leave=False, unit="batch", disable=not show_progress
    ):
        yield augment.evaluation_view(augment.to_float(images), eval_crop)
