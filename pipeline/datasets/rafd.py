"""RaFD, the Radboud Faces Database (Langner et al., Cognition and Emotion 2010): 67 models, eight expressions."""

import re
from collections.abc import Iterator
from typing import ClassVar

from pipeline.datasets.parts.base import Dataset, Sample
from pipeline.datasets.parts.classes import class_of
from pipeline.datasets.parts.folders import pictures_below

FRONTAL = "090"
LEFT_OUT = "contemptuous"
NAME = re.compile(r"Rafd(000|045|090|135|180)_([0-9]+)_([A-Za-z]+)_([a-z]+)_([a-z]+)_(frontal|left|right)")
"""Camera, model, group, sex, expression, gaze."""


class Rafd(Dataset):
    """RaFD: the 1,407 pictures of the frontal camera without contempt, of 8,040 (67 models × 7 × 3 gazes)."""

    name = "rafd"
    title = "RaFD"
    published: ClassVar = {"all": 1407}
    layout = (
        "Rafd090_01_Caucasian_female_angry_frontal.jpg at any depth; the frontal camera (090) is read, contempt not"
    )

    def scan(self) -> Iterator[Sample]:
        """Yield one sample per picture of the frontal camera.

        Raises:
            DatasetError: a picture's name has another form, or its expression is unknown.
        """
        for path in pictures_below(self.root):
            match = NAME.fullmatch(path.stem)
            if match is None:
                raise self.error(f"{path}: not named like Rafd090_01_Caucasian_female_angry_frontal.jpg; move it away")
            camera, model, _, _, expression, _ = match.groups()
            if camera != FRONTAL or expression == LEFT_OUT:
                continue
            label = class_of(expression)
            if label is None:
                raise self.error(f"{path}: unknown expression {expression!r}; rename the file or move it away")
            yield Sample(self.key(path), label, subject=model, sequence=f"{model}/{expression}")
