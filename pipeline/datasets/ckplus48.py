"""CK+48, the copy of CK+ in common use: 48×48 crops of the three peak frames, one folder per class."""

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import PurePosixPath
from typing import ClassVar

from pipeline.datasets.parts.base import Dataset, Sample
from pipeline.datasets.parts.classes import class_samples, has_class_folders
from pipeline.datasets.parts.finder import find_all, require_no_copies


class CkPlus48(Dataset):
    """CK+48: 981 pictures, 927 without contempt; there are no neutral frames."""

    name = "ckplus48"
    title = "CK+48"
    caveat = "CK+48 is not the paper's CK+: 48×48 crops of the peak frames, without neutral faces."
    published: ClassVar = {"all": (135, 177, 75, 207, 84, 249, 0)}
    layout = "anger/S010_004_00000017.png, likewise disgust, fear, happy, sadness, surprise; contempt is left out"

    def scan(self) -> Iterator[Sample]:
        """Yield one sample per picture of the six classes. There may be any folders around the class folders.

        Raises:
            DatasetError: a folder is not a class, a picture's name does not give subject, sequence and frame, or two
                pictures have the same name.
        """
        folders = find_all(self, has_class_folders, "a folder for each class")
        samples = [sample for folder in folders for sample in class_samples(self, folder, None, left_out=("contempt",))]
        if len(folders) > 1:
            require_no_copies(self, (self.root / sample.key for sample in samples))
        for sample in samples:
            match = re.fullmatch(r"(S[0-9]+)_([0-9]+)_([0-9]+)", PurePosixPath(sample.key).stem)
            if match is None:
                raise self.error(
                    f"{self.root / sample.key}: the name is not of the form S010_004_00000017.png; rename the file or "
                    "move it away"
                )
            subject, sequence, frame = match.groups()
            yield replace(sample, subject=subject, sequence=f"{subject}/{sequence}", frame=int(frame))
