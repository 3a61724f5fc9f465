"""The processes that share the work on batches of pictures."""

from collections.abc import Generator
from multiprocessing import get_all_start_methods, get_context
from multiprocessing.context import BaseContext

import cv2
import torch
from torch.utils.data import DataLoader

from pipeline.errors import PipelineError
from pipeline.faces.batches import Batches, FaceBatches
from pipeline.faces.writer import CropBatch
from pipeline.locks import available_cores, end_with_parent, out_of_reach_of_ctrl_c, processes_allowed

WORTH_A_PROCESS = 512
"""Number of pictures for which one more process saves more time than its start costs."""

MOST_PROCESSES = {"cpu": 8, "cuda": 4}
"""Each process needs about 150 MiB of its own, more on a GPU; eight stay below 2 GB in total."""


def crop_batches(work: FaceBatches, batches: Batches, processes: int | None) -> Generator[CropBatch]:
    """Find and crop the faces of all batches, in several processes.

    Every process computes in one thread, so the result does not depend on the number of processes.

    Args:
        work: finds and crops the faces of one batch.
        batches: the samples of each batch.
        processes: number of processes; 1: only this one; None: one per core, fewer for few pictures.

    Yields:
        The result of each batch, in order.

    Raises:
        PipelineError: a process died.
        WeightsError: a detector's files are missing.
    """
    if processes is None:
        processes = _default_processes(sum(map(len, batches)), work.device)
    processes = min(processes, len(batches))  # further processes would have no work
    context = _context()
    processes = processes_allowed(processes, context)
    if processes <= 1:
        threads = torch.get_num_threads(), cv2.getNumThreads()
        _set_threads(1, 1)
        try:
            yield from (work[batch] for batch in batches)
        finally:
            _set_threads(*threads)
        return
    work.require_weights()  # once here, not in every process
    loader: DataLoader[CropBatch] = DataLoader(
        work,
        batch_size=None,
        sampler=batches,
        num_workers=processes,
        collate_fn=_unchanged,  # type: ignore[arg-type]  # without a batch_size it gets single items
        multiprocessing_context=context,
        worker_init_fn=_begin,
    )
    try:
        with out_of_reach_of_ctrl_c():
            cropped = iter(loader)
        yield from cropped
    except RuntimeError as error:
        if not str(error).startswith("DataLoader worker"):  # else: "Caught … in DataLoader worker", our error
            raise
        raise PipelineError(  # not a DatasetError: the pictures are not the reason, and finished work is kept
            f"a process that reads pictures died ({error}); the memory may have run out. "
            f"Finished work is kept: run it again, with fewer processes if memory was the reason"
        ) from error


def _default_processes(pictures: int, device: torch.device) -> int:
    """Return one process per core, but fewer for few pictures."""
    return max(1, min(available_cores(), pictures // WORTH_A_PROCESS, MOST_PROCESSES.get(device.type, 1)))


def _context() -> BaseContext:
    """Return the way to start processes: fork a server without threads and GPU that has loaded the shared libraries.

    On systems that cannot fork (Windows), each process loads the libraries itself.
    """
    if "forkserver" not in get_all_start_methods():
        return get_context("spawn")
    context = get_context("forkserver")
    context.set_forkserver_preload([FaceBatches.__module__])
    return context


def _begin(_worker: int) -> None:
    """Set up a worker process."""
    _set_threads(1, 1)
    end_with_parent()


def _set_threads(of_torch: int, of_opencv: int) -> None:
    torch.set_num_threads(of_torch)
    cv2.setNumThreads(of_opencv)


def _unchanged(batch: CropBatch) -> CropBatch:
    return batch
