"""JAFFE (Lyons et al., FG 1998): ten Japanese women, seven expressions, 213 pictures."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

from pipeline.datasets.parts.base import Dataset, Sample
from pipeline.datasets.parts.classes import class_of
from pipeline.datasets.parts.finder import find_all, require_no_copies
from pipeline.datasets.parts.folders import pictures_in

NAME = re.compile(r"([A-Z]{2})\.([A-Z]{2})[0-9]*\.[0-9]+")


class Jaffe(Dataset):
    """JAFFE: a file's name gives subject, expression and number. The pictures may be sorted into folders."""

    name = "jaffe"
    title = "JAFFE"
    published: ClassVar = {"all": 213}
    layout = "KA.AN1.39.tiff: subject, expression (AN DI FE HA SA SU NE) with its number, number of the picture"

    def scan(self) -> Iterator[Sample]:
        """Yield one sample per picture.

        Raises:
            DatasetError: a picture's name has another form or an unknown expression code, or two pictures have the same
                name.
        """
        folders = find_all(self, _holds_jaffe, "a picture named like KA.AN1.39.tiff")
        pictures = [path for folder in folders for path in pictures_in(folder)]
        require_no_copies(self, pictures)
        for path in pictures:
            match = NAME.fullmatch(path.stem)
            if match is None:
                raise self.error(
                    f"{path}: the name is not of the form KA.AN1.39.tiff; rename the file or move it out of {self.root}"
                )
            subject, code = match.groups()
            label = class_of(code)
            if label is None:
                raise self.error(
                    f"{path}: unknown expression code {code!r}; rename the file or move it out of {self.root}"
                )
            yield Sample(self.key(path), label, subject)


def _holds_jaffe(folder: Path) -> bool:
    return any(NAME.fullmatch(path.stem) for path in pictures_in(folder))
