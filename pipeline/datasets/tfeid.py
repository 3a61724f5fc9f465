"""TFEID, the Taiwanese Facial Expression Image Database (Chen and Yen, 2007): 40 models, posed, in class folders."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

from pipeline.datasets.parts.base import Dataset, Sample
from pipeline.datasets.parts.classes import class_of
from pipeline.datasets.parts.finder import find
from pipeline.datasets.parts.folders import picture_folders, pictures_in, subfolders

FOLDER = re.compile(r"dfh_([a-z]+)_[a-z]", re.IGNORECASE)
"""The name of a class folder. Its last letter says how the pictures are framed."""
MODEL = re.compile(r"([fm][0-9]+)_", re.IGNORECASE)
"""The beginning of a picture's name: sex and number of the model."""
MISSPELT = {"disguest": "disgust"}
"""Misspelt class names in the release."""
LEFT_OUT = "contempt"


class Tfeid(Dataset):
    """TFEID: the frontal pictures of high intensity, without contempt."""

    name = "tfeid"
    title = "TFEID"
    published: ClassVar = {}
    layout = (
        "dfh_anger_x/f01_dfh_….jpg, likewise disguest (so spelt), fear, happiness, neutral, sadness, surprise; "
        "contempt is not read"
    )

    def scan(self) -> Iterator[Sample]:
        """Yield one sample per picture in a class folder.

        Raises:
            DatasetError: there is no class folder, the class of one is unknown, or a picture's name does not give a
                model.
        """
        for folder in picture_folders(find(self, _holds_tfeid, "a folder dfh_anger_x")):
            match = FOLDER.fullmatch(folder.name)
            word = match[1].casefold() if match else ""
            if word == LEFT_OUT:
                continue
            label = class_of(MISSPELT.get(word, word))
            if label is None:
                raise self.error(f"{folder}: not a class folder such as dfh_anger_x; rename it or move it away")
            for path in pictures_in(folder):
                model = MODEL.match(path.name)
                if model is None:
                    raise self.error(
                        f"{path}: the name does not begin with a model such as f01_; rename the file or move it away"
                    )
                yield Sample(self.key(path), label, subject=model[1].casefold())


def _holds_tfeid(folder: Path) -> bool:
    return any(FOLDER.fullmatch(inside.name) for inside in subfolders(folder))
