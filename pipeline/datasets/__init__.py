"""The data sets: one module per set, registered here by name.

A new set is its module, its test, one line below and its parameters (docs/extending.md).
"""

from pathlib import Path

from pipeline.datasets.afe import Afe
from pipeline.datasets.affectnet import AffectNet
from pipeline.datasets.caers import CaerS
from pipeline.datasets.ckplus import CkPlus
from pipeline.datasets.ckplus48 import CkPlus48
from pipeline.datasets.expw import ExpW
from pipeline.datasets.fer2013 import Fer2013
from pipeline.datasets.ferplus import FerPlus
from pipeline.datasets.folder import FolderDataset, UnlabelledFolder
from pipeline.datasets.jaffe import Jaffe
from pipeline.datasets.kdef import Kdef
from pipeline.datasets.mmi import Mmi
from pipeline.datasets.oulu import OuluCasia
from pipeline.datasets.parts.base import Dataset, Sample
from pipeline.datasets.rafd import Rafd
from pipeline.datasets.rafdb import RafDb
from pipeline.datasets.sfew import Sfew
from pipeline.datasets.tfeid import Tfeid
from pipeline.datasets.video import VideoDataset
from pipeline.registry import Registry

__all__ = ["DATASETS", "Dataset", "FolderDataset", "Sample", "UnlabelledFolder", "VideoDataset", "open_dataset"]

DATASETS: Registry[type[Dataset]] = Registry(
    "data set",
    [
        RafDb,
        CkPlus,
        CkPlus48,
        Jaffe,
        OuluCasia,
        Fer2013,
        Sfew,
        FerPlus,
        ExpW,
        AffectNet,
        CaerS,
        Kdef,
        Rafd,
        Afe,
        Mmi,
        Tfeid,
    ],
)
"""The sets with a reader of their own."""


def open_dataset(name: str, root: Path) -> Dataset:
    """The data set ``name`` in its own folder; a name without a reader is a folder of pictures.

    Args:
        name: as in params.yaml.
        root: the set's own folder.

    Raises:
        DatasetError: there is no such folder.
    """
    return DATASETS[name](root) if name in DATASETS else FolderDataset(root, name)
