"""The faces of any folder of pictures, outside of the pipeline."""

from pathlib import Path

from pipeline.compute import device
from pipeline.config.schema import FaceParams
from pipeline.datasets import AnyFolder
from pipeline.errors import DatasetError
from pipeline.faces.extract import extract
from pipeline.reporting.faces_report import write_faces_report


def extract_folder(folder: Path, out: Path, params: FaceParams, on: str, processes: int | None) -> list[Path]:
    """What the faces stage does with a data set, for ``folder``; returns the files and folders made in ``out``.

    ``on``: auto, cpu or cuda. Any number of pictures may be unreadable: they are listed in the report.

    Raises:
        DatasetError: there is no such folder or no readable picture in it, ``out`` has crops already or lies in it.
    """
    pictures, store = AnyFolder(folder), out / "crops"
    report = out / "faces.md"
    if store.exists() and report.exists():
        raise DatasetError(f"{store}: there are crops already; remove the folder or name another one with --out")
    if out.resolve().is_relative_to(folder.resolve()):
        raise DatasetError(f"{out}: lies in {folder}, whose pictures are read; name a folder beside it with --out")
    if not store.exists():  # else only the report was interrupted
        extract(pictures, store, out / ".in-progress", params, 1.0, device.pick(on), processes)
    return [store, *write_faces_report({pictures.name: store}, report, out / "contact-sheets")]
