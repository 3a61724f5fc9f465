"""ExpW, Expression in-the-Wild (Zhang et al., IJCV 2018): faces from image searches, sometimes several in a picture."""

from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

from pipeline.datasets.parts.base import Sample
from pipeline.datasets.parts.boxed import Box, BoxedFaces, whole_pixels
from pipeline.datasets.parts.classes import plain_code
from pipeline.datasets.parts.finder import find_file
from pipeline.datasets.parts.lists import list_lines
from pipeline.errors import short_repr
from pipeline.labels import ANGER, DISGUST, FEAR, HAPPINESS, NEUTRAL, SADNESS, SURPRISE

LIST = "label.lst"
PICTURES = ("image/origin", "origin", "image", ".")
COLUMNS = 8
LABELS = {"0": ANGER, "1": DISGUST, "2": FEAR, "3": HAPPINESS, "4": SADNESS, "5": SURPRISE, "6": NEUTRAL}


class ExpW(BoxedFaces):
    """ExpW: 91,793 faces, each cut from its picture by its box, enlarged by half its size on each side."""

    name = "expw"
    title = "ExpW"
    published: ClassVar = {"all": 91_793}
    layout = (
        "label.lst (picture, number of the face, top, left, right, bottom, confidence, label 0–6) and "
        "image/origin/*.jpg"
    )

    def scan(self) -> Iterator[Sample]:
        """Yield one sample per line of the list. Its key is the picture's key with the number of the face.

        Raises:
            DatasetError: the list or the folder of pictures is missing; or a line is not UTF-8, is malformed or has a
                label outside 0–6.
        """
        listed = find_file(self, LIST)
        pictures = next(listed.parent / name for name in PICTURES if (listed.parent / name).is_dir())
        for where, line in list_lines(self, listed):
            yield self._sample(pictures, where, line.split())

    def _sample(self, pictures: Path, where: str, fields: list[str]) -> Sample:
        if len(fields) != COLUMNS:
            raise self.error(f"{where}: {len(fields)} columns instead of {COLUMNS}; unpack the list again")
        name, number, *box, _, code = fields
        code = plain_code(code)
        if code not in LABELS:
            raise self.error(f"{where}: label {short_repr(code)} is not one of 0–6; correct the line")
        try:
            top, left, right, bottom = whole_pixels(box)
        except ValueError:
            raise self.error(
                f"{where}: {short_repr(' '.join(box))} is not a box of four numbers; correct the line"
            ) from None
        key = f"{self.key(pictures / name)}:{number}"
        self.boxes[key] = Box(pictures / name, left, top, right, bottom)
        return Sample(key, LABELS[code])
