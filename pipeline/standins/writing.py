"""Drawing the pictures of a plan in several processes, and writing the set's folder."""

from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import cv2

from pipeline.errors import DatasetError
from pipeline.files.atomic import atomic_folder, remove_folder
from pipeline.files.io import write_json
from pipeline.labels import STAND_IN_MARK
from pipeline.locks import out_of_reach_of_ctrl_c, processes_allowed
from pipeline.progress import progress_bar
from pipeline.standins.camera import draw_picture
from pipeline.standins.layouts import Picture, Plan
from pipeline.standins.styles import STYLES

_ENCODINGS: dict[str, list[int]] = {
    ".jpg": [cv2.IMWRITE_JPEG_QUALITY, 95],
    ".jpeg": [cv2.IMWRITE_JPEG_QUALITY, 95],
    ".png": [cv2.IMWRITE_PNG_COMPRESSION, 1],
    ".tiff": [],
}


def write_set(plan: Plan, dataset: str, folder: Path, seed: int, scale: float, workers: int) -> None:
    """Draw a whole set into ``folder``. It appears when it is complete, and replaces an older stand-in.

    Args:
        plan: the set's pictures and files.
        dataset: the set's name.
        folder: the set's root.
        seed: seed of all random numbers.
        scale: factor on the number of pictures, noted in the folder's mark.
        workers: number of processes.

    Raises:
        DatasetError: ``folder`` contains something that is not a stand-in; nothing is changed.
        StorageError: it cannot be written.
    """
    if folder.exists() and not (folder / STAND_IN_MARK).is_file() and any(folder.iterdir()):
        raise DatasetError(
            f"{folder}: contains files but no {STAND_IN_MARK}, so it is not a stand-in and is not replaced; "
            f"take {dataset} out of standins.sets to use these files, or move them away"
        )
    with _fresh_folder(folder) as root:
        for parent in sorted({Path(p.path).parent for p in plan.pictures} | {Path(f) for f in plan.folders}):
            (root / parent).mkdir(parents=True, exist_ok=True)
        for name, text in plan.texts.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(text, encoding="utf-8")
        _write_pictures(plan.pictures, dataset, root, seed, workers)
        write_json(root / STAND_IN_MARK, {"stand_in": True, "dataset": dataset, "seed": seed, "scale": scale})


def _write_pictures(pictures: list[Picture], dataset: str, root: Path, seed: int, workers: int) -> None:
    draw = partial(_draw_one, dataset=dataset, root=root, seed=seed)
    progress = partial(progress_bar, total=len(pictures), desc=f"stand-ins {dataset}", unit="picture")
    # A forked child could inherit a lock held by a thread of OpenCV; a spawned one cannot.
    context = get_context("spawn")
    workers = processes_allowed(workers, context)
    if workers == 1:
        _write_rows(progress(map(draw, pictures)), pictures, root)
        return
    with ProcessPoolExecutor(workers, context, initializer=cv2.setNumThreads, initargs=(1,)) as pool:
        with out_of_reach_of_ctrl_c():
            drawn = pool.map(draw, pictures, chunksize=8)
        _write_rows(progress(drawn), pictures, root)


def _write_rows(drawn: Iterable[str | None], pictures: list[Picture], root: Path) -> None:
    """Exhaust ``drawn``, and write pictures that are rows of a table to the table, in the order of the plan."""
    if pictures[0].row is None:
        for _ in drawn:
            pass
        return
    with (root / pictures[0].path).open("w", encoding="ascii", newline="") as table:
        table.write("emotion,pixels,Usage\n")
        for pixels, picture in zip(drawn, pictures, strict=True):
            assert picture.row is not None
            emotion, usage = picture.row
            table.write(f"{emotion},{pixels},{usage}\n")


def _draw_one(picture: Picture, dataset: str, root: Path, seed: int) -> str | None:
    """Write a picture to its file, or return its pixels if it is a row of a table."""
    image = draw_picture(picture.shot, STYLES[dataset], seed, dataset)
    if picture.row is not None:
        return " ".join(map(str, image.ravel().tolist()))
    if image.ndim == 3:
        image = image[..., ::-1]
    suffix = Path(picture.path).suffix
    done, encoded = cv2.imencode(suffix, image, _ENCODINGS[suffix])
    if not done:
        raise RuntimeError(f"{picture.path}: OpenCV could not encode the picture")
    (root / picture.path).write_bytes(encoded.tobytes())
    return None


@contextmanager
def _fresh_folder(folder: Path) -> Iterator[Path]:
    """Yield a new folder beside ``folder``, which replaces it on success and is removed on any error."""
    with atomic_folder(folder) as fresh:
        yield fresh
        if folder.exists():
            remove_folder(folder)
