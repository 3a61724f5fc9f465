"""Projections and probabilities of whole data sets, in evaluation mode and without gradients."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from pipeline.data.batches import NetworkInputs, prefetched
from pipeline.data.outcome import Predictions, RowSample
from pipeline.networks.network import Classifier, Network
from pipeline.progress import progress_bar

BATCH, GPU_BATCH = 64, 256
"""Pictures per batch. Larger batches need more memory (256 pictures of 112×112: 1 GB) and are not faster on a CPU."""


@torch.no_grad()
def project(
    network: Network,
    inputs: NetworkInputs,
    rows: Tensor,
    eval_crop: float,
    watch: Callable[[Tensor], object] = lambda _: None,
) -> Tensor:
    """Compute z for the evaluation views of some pictures.

    Args:
        network: computes z.
        inputs: the network inputs of the domain.
        rows: the pictures, int64, on the CPU.
        eval_crop: side of the view, as a share of the crop's side.
        watch: is given every batch of views, so that whatever else needs them makes them no second time.

    Returns:
        len(rows)×d float, on the inputs' device.
    """
    found = []
    with evaluating(network):
        for images in evaluation_views(inputs, rows, eval_crop, show_progress=True):
            watch(images)
            found.append(network(images))
    return torch.cat(found)


@torch.no_grad()
def classify(
    model: Classifier, inputs: NetworkInputs, rows: Tensor, eval_crop: float, show_progress: bool = True
) -> tuple[Tensor, Tensor]:
    """Compute embeddings and class probabilities of the evaluation views of some pictures.

    Args:
        model: the model.
        inputs: the network inputs of the domain.
        rows: the pictures, int64, on the CPU.
        eval_crop: side of the view, as a share of the crop's side.
        show_progress: whether to show a progress bar.

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
    """Return ``model``'s probabilities for all target crops, and its embeddings of the samples of source and target."""
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
    """Put a module into evaluation mode within the context, and restore its mode afterwards."""
    was_training = module.training
    module.eval()
    try:
        yield
    finally:
        module.train(was_training)


def evaluation_views(inputs: NetworkInputs, rows: Tensor, eval_crop: float, show_progress: bool) -> Iterator[Tensor]:
    """Yield the evaluation views of some pictures in batches.

    Args:
        inputs: the network inputs of the domain.
        rows: the pictures, int64, on the CPU.
        eval_crop: side of the view, as a share of the crop's side.
        show_progress: whether to show a progress bar.

    Yields:
        Network inputs, float n×…, on the inputs' device; if there are no rows, one empty batch.
    """
    if len(rows) == 0:
        yield inputs.empty_batch()
        return
    chunks = rows.split(BATCH if inputs.device.type == "cpu" else GPU_BATCH)
    batches = prefetched(map(inputs.batch, chunks))
    for batch in progress_bar(
        batches, desc="predict", total=len(chunks), leave=False, unit="batch", disable=not show_progress
    ):
        yield inputs.evaluation_view(batch, eval_crop)
