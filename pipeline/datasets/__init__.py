"""The data sets: one module per set, opened by name."""

from pathlib import Path

from pipeline.datasets.base import Dataset, Sample
from pipeline.datasets.ckplus import CkPlus
from pipeline.datasets.ckplus48 import CkPlus48
from pipeline.datasets.fer2013 import Fer2013
from pipeline.datasets.folder import AnyFolder, FolderDataset
from pipeline.datasets.jaffe import Jaffe
from pipeline.datasets.oulu import OuluCasia
from pipeline.datasets.rafdb import RafDb
from pipeline.datasets.sfew import Sfew

__all__ = ["AnyFolder", "Dataset", "FolderDataset", "Sample", "open_dataset"]

READERS: dict[str, type[Dataset]] = {
    reader.name: reader for reader in (RafDb, CkPlus, CkPlus48, Jaffe, OuluCasia, Fer2013, Sfew)
}


def open_dataset(name: str, root: Path) -> Dataset:
    """The data set ``name`` in its own folder ``root``; a name without a reader is a folder of pictures.

    Raises:
        DatasetError: there is no such folder.
    """
    return READERS[name](root) if name in READERS else FolderDataset(root, name)
