"""Oulu-CASIA NIR&VIS (Zhao et al., 2011): 80 subjects, six expressions, sequences from neutral to the peak."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

from pipeline.datasets.parts.base import AlignedOrWhole, Sample
from pipeline.datasets.parts.classes import class_of
from pipeline.datasets.parts.finder import find
from pipeline.datasets.parts.folders import subfolders
from pipeline.datasets.parts.sequences import neutral_and_peak
from pipeline.labels import NEUTRAL

STRONG = "Strong"
WHOLE = "VL"
CROPPED = "VL_Acropped"
"""The authors' own crops of the pictures in visible light, in PreProcess Img."""


class OuluCasia(AlignedOrWhole):
    """Oulu-CASIA: visible light (VL), normal indoor illumination (Strong); 480 sequences, 1,920 pictures."""

    name = "oulu"
    title = "Oulu-CASIA"
    published: ClassVar = {"all": (240, 240, 240, 240, 240, 240, 480)}
    layout = (
        "OriginalImg/VL/Strong/P001/Anger/000.jpeg, likewise Disgust, Fear, Happiness, Sadness, Surprise; "
        "OriginalImg may be left out; the authors' crops (VL_Acropped) are read if there are no whole pictures"
    )

    def scan(self) -> Iterator[Sample]:
        """Yield the first frame of each sequence (neutral) and its last three; NI, Weak and Dark are not read.

        Raises:
            DatasetError: VL/Strong is missing, a folder is not a subject or expression, or a sequence lacks pictures.
        """
        folder = find(self, _is_strong_light, "VL/Strong (visible light)", _is_original)
        self._aligned = folder.parent.name != WHOLE
        for subject in subfolders(folder):
            if re.fullmatch(r"P[0-9]+", subject.name) is None:
                raise self.error(
                    f"{subject}: {subject.name!r} is not a subject such as P001; move the folder out of {self.root}"
                )
            for sequence in subfolders(subject):
                label = class_of(sequence.name)
                if label is None or label == NEUTRAL:
                    raise self.error(
                        f"{sequence}: unknown expression {sequence.name!r}; rename the folder or move it out of "
                        f"{self.root}"
                    )
                yield from neutral_and_peak(self, sequence, label, subject.name, f"{subject.name}/{sequence.name}")


def _is_strong_light(folder: Path) -> bool:
    return folder.name == STRONG and folder.parent.name in (WHOLE, CROPPED)


def _is_original(folder: Path) -> bool:
    """Return whether the pictures are the original ones, not processed by the authors."""
    return folder.parent.name == WHOLE and "process" not in folder.parent.parent.name.casefold()
