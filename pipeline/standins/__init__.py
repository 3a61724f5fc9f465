"""Drawn stand-ins for six data sets: freely usable faces in each set's own layout.

With them, the whole pipeline runs without data sets that need their owners' agreement. Results on them do not show how
good a method is on photographs.
"""

from pathlib import Path

DRAWN = ("rafdb", "ckplus", "jaffe", "oulu", "fer2013", "sfew")
"""The sets that have a stand-in."""


def draw(dataset: str, folder: Path, seed: int, scale: float, workers: int | None = None) -> None:
    """Draw one set; the same seed and scale give the same bytes.

    Args:
        dataset: one of ``DRAWN``.
        folder: the set's root. It appears when it is complete, and replaces an older stand-in.
        seed: seed of all random numbers.
        scale: factor on the number of pictures.
        workers: number of processes; by default one per core.

    Raises:
        DatasetError: ``folder`` contains something that is not a stand-in.
        StorageError: it cannot be written.
        KeyError: there is no stand-in of that name.
    """
    # Imported here because drawing loads OpenCV, and code that only needs the names should not wait for it.
    from pipeline.locks import available_cores
    from pipeline.standins.layouts import plan
    from pipeline.standins.writing import write_set

    layout = plan(dataset, seed, scale)
    write_set(layout, dataset, folder, seed, scale, workers or available_cores())
