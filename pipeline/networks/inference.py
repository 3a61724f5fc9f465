"""Projections and probabilities of whole data sets, in evaluation mode and without gradients."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from pipeline.data.batches import NetworkInputs, prefetched
from pipeline.data.outcome import Predictions, RowSample
from pipeline.networks.network import Classifier, Network
from pipeline.progress import progress_bar

BATCH, GPU_BATCH = 64, 256
"""Pictures that pass a network at a time. More take memory (256 of 112×112 a gigabyte) and are no faster on a CPU."""


@torch.no_grad()
def project(network: Network, inputs: NetworkInputs, rows: Tensor, eval_crop: float) -> Tensor:
    """Project the evaluation views of some pictures.

    Args:
        network: computes z.
        inputs: of the domain.
        rows: int64, on the CPU.
        eval_crop: the view's side, as a share of the crop's.

    Returns:
        len(rows)×d float, on the inputs' device.
    """
    with evaluating(network):
        return torch.cat([network(images) for images in evaluation_views(inputs, rows, eval_crop, show_progress=True)])


@torch.no_grad()
def classify(
    model: Classifier, inputs: NetworkInputs, rows: Tensor, eval_crop: float, show_progress: bool = True
) -> tuple[Tensor, Tensor]:
    """Embeddings and class probabilities of the evaluation views of some pictures.

    Args:
        model: that predicts.
        inputs: of the domain.
        rows: int64, on the CPU.
        eval_crop: the view's side, as a share of the crop's.
        show_progress: whether there is a progress bar.

    Returns:
        Embeddings (len(rows)×d) and probabilities (len(rows)×k), float on the inputs' device.
    """
    with evaluating(model):
        parts = [model.embed(images) for images in evaluation_views(inputs, rows, eval_crop, show_progress)]
    embeddings, probabilities = zip(*parts, strict=True)
    return torch.cat(embeddings), torch.cat(probabilities)


def predict_domains(
    model: Classifier,
    source: NetworkInputs,
    target: NetworkInputs,
    samples: tuple[RowSample, RowSample],
    eval_crop: float,
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


def evaluation_views(inputs: NetworkInputs, rows: Tensor, eval_crop: float, show_progress: bool) -> Iterator[Tensor]:
    """The evaluation views of some pictures, batch by batch.

    Args:
        inputs: of the domain.
        rows: int64, on the CPU.
        eval_crop: the view's side, as a share of the crop's.
        show_progress: whether there is a progress bar.

    Yields:
        Float n×…, on the inputs' device, as the network takes it; where there are no rows, one batch without pictures.
    """
    if len(rows) == 0:
        yield inputs.nothing()
        return
    chunks = rows.split(BATCH if inputs.device.type == "cpu" else GPU_BATCH)
    batches = prefetched(map(inputs.batch, chunks))
    for batch in progress_bar(
        batches, desc="predict", total=len(chunks), leave=False, unit="batch", disable=not show_progress
    ):
        yield inputs.evaluation_view(batch, eval_crop)
