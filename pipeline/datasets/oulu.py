"""Oulu-CASIA NIR&VIS (Zhao et al., 2011): 80 subjects, six expressions, sequences that run from neutral to the peak."""

import re
from collections.abc import Iterator
from typing import ClassVar

from pipeline.datasets.parts.base import Dataset, Sample
from pipeline.datasets.parts.class_folders import subfolders
from pipeline.datasets.parts.finder import find
from pipeline.datasets.parts.sequences import neutral_and_peak
from pipeline.datasets.parts.spellings import class_of
from pipeline.labels import NEUTRAL


class OuluCasia(Dataset):
    """Oulu-CASIA: visible light (VL), normal indoor illumination (Strong); 480 sequences, 1,920 pictures."""

    name = "oulu"
    title = "Oulu-CASIA"
    published: ClassVar = {"all": 1920}
    layout = (
        "OriginalImg/VL/Strong/P001/Anger/000.jpeg, likewise Disgust, Fear, Happiness, Sadness, Surprise; "
        "OriginalImg may be left out"
    )

    def scan(self) -> Iterator[Sample]:
        """The first frame of each sequence (neutral) and its last three; NI, Weak and Dark are not read.

        Raises:
            DatasetError: VL/Strong is missing, a folder is no subject or expression, or a sequence lacks pictures.
        """
        folder = find(self, lambda folder: (folder / "VL/Strong").is_dir(), "VL/Strong (visible light)") / "VL/Strong"
        for subject in subfolders(folder):
            if re.fullmatch(r"P[0-9]+", subject.name) is None:
                raise self.fault(f"{subject}: {subject.name!r} is no subject such as P001; remove the folder")
            for sequence in subfolders(subject):
                label = class_of(sequence.name)
                if label is None or label == NEUTRAL:
                    raise self.fault(f"{sequence}: unknown expression {sequence.name!r}; rename or remove the folder")
                yield from neutral_and_peak(self, sequence, label, subject.name, f"{subject.name}/{sequence.name}")
