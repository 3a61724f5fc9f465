"""The data sets: one module per set, registered here by name.

A new set is its module, its test, one line below and its parameters (docs/extending.md).
"""

from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.registry import Registry

if TYPE_CHECKING:
    from pipeline.datasets.parts.base import Dataset

DATASETS: Registry[type["Dataset"]] = Registry(
    "data set",
    {
        "rafdb": "pipeline.datasets.rafdb:RafDb",
        "ckplus": "pipeline.datasets.ckplus:CkPlus",
        "ckplus48": "pipeline.datasets.ckplus48:CkPlus48",
        "jaffe": "pipeline.datasets.jaffe:Jaffe",
        "oulu": "pipeline.datasets.oulu:OuluCasia",
        "fer2013": "pipeline.datasets.fer2013:Fer2013",
        "sfew": "pipeline.datasets.sfew:Sfew",
        "ferplus": "pipeline.datasets.ferplus:FerPlus",
        "expw": "pipeline.datasets.expw:ExpW",
        "affectnet": "pipeline.datasets.affectnet:AffectNet",
        "caers": "pipeline.datasets.caers:CaerS",
        "kdef": "pipeline.datasets.kdef:Kdef",
        "rafd": "pipeline.datasets.rafd:Rafd",
        "afe": "pipeline.datasets.afe:Afe",
        "mmi": "pipeline.datasets.mmi:Mmi",
        "tfeid": "pipeline.datasets.tfeid:Tfeid",
    },
    __name__,
)
"""The sets with a reader of their own. A reader is imported when it is used first."""


def open_dataset(name: str, root: Path) -> "Dataset":
    """Open a data set in its own folder. A name without a reader is opened as a folder of pictures.

    Args:
        name: the set's name in params.yaml.
        root: the set's own folder.

    Raises:
        DatasetError: the folder does not exist.
    """
    if name in DATASETS:
        return DATASETS[name](root)
    # Imported here because OpenCV takes 0.1 s to load, and reading parameters does not need it.
    from pipeline.datasets.folder import FolderDataset

    return FolderDataset(root, name)
