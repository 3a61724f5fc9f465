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
    """z of the evaluation view of ``rows`` (int64, CPU): len(rows)×d float on the crops' device."""
    with evaluating(network):
        return torch.cat([network(images) for images in evaluation_views(crops, rows, eval_crop, shown=True)])


@torch.no_grad()
def classify(
    model: Classifier, crops: DeviceCrops, rows: Tensor, eval_crop: float, shown: bool = True
) -> tuple[Tensor, Tensor]:
    """Embeddings (len(rows)×d) and class probabilities (len(rows)×k) of ``rows``, float on the crops' device.

    rows: int64, on the CPU. shown: with a bar.
    """
    with evaluating(model):
        parts = [model.embed(images) for images in evaluation_views(crops, rows, eval_crop, shown)]
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
    """In evaluation mode for the pass; left in the mode it was in."""
    was_training = module.training
    module.eval()
    try:
        yield
    finally:
        module.train(was_training)


def evaluation_views(crops: DeviceCrops, rows: Tensor, eval_crop: float, shown: bool) -> Iterator[Tensor]:
    """The evaluation views of ``rows``, batch by batch; of no row one batch without images."""
    if len(rows) == 0:
        yield torch.empty(0, 3, CROP_SIZE, CROP_SIZE, device=crops.device)
        return
    chunks = rows.split(BATCH)
    batches = prefetched(map(crops.batch, chunks))
    for images in progress_bar(
        batches, desc="predict", total=len(chunks), leave=False, unit="batch", disable=not shown
    ):
        yield augment.evaluation_view(augment.to_float(images), eval_crop)
