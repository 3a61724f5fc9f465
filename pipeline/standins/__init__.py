"""Drawn stand-ins for the six data sets: faces that anyone may have, in each set's own layout.

They let the whole pipeline run without a data set that needs its owners' agreement. They say nothing about how well a
method does on photographs.
"""

from pathlib import Path

DRAWN = ("rafdb", "ckplus", "jaffe", "oulu", "fer2013", "sfew")
"""The sets that have a stand-in."""


def draw(dataset: str, folder: Path, seed: int, scale: float, workers: int | None = None) -> None:
    """Draw one set; the same seed and scale give the same bytes.

    Args:
        dataset: one of ``DRAWN``.
        folder: the set's root. It appears when it is complete; an older stand-in is replaced.
        seed: of all random numbers.
        scale: a factor on the number of pictures.
        workers: processes; by default one per core.

    Raises:
        DatasetError: ``folder`` holds something that is no stand-in.
        StorageError: it cannot be written.
        KeyError: there is no stand-in of that name.
    """
    # Imported here: what draws loads OpenCV, which whoever asks for the names need not wait for.
    from pipeline.standins.layouts import plan
    from pipeline.standins.writing import default_workers, write_set

    layout = plan(dataset, seed, scale)
    write_set(layout, dataset, folder, seed, scale, workers or default_workers())
