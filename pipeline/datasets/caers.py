"""CAER-S (Lee et al., ICCV 2019): stills of television shows, with the scene around the face."""

from collections.abc import Iterator

from pipeline.datasets.parts.base import Dataset, Sample
from pipeline.datasets.parts.classes import class_samples, has_part_folders, part_of
from pipeline.datasets.parts.finder import find
from pipeline.datasets.parts.folders import picture_folders


class CaerS(Dataset):
    """CAER-S: about 70,000 pictures in class folders below ``train`` and ``test``."""

    name = "caers"
    title = "CAER-S"
    layout = "train/Anger/0001.png and test/Anger/0001.png, likewise Disgust, Fear, Happy, Neutral, Sad, Surprise"

    def scan(self) -> Iterator[Sample]:
        """Yield one sample per picture.

        Raises:
            DatasetError: there is no part, or a folder in a part is not a class.
        """
        for folder in picture_folders(find(self, has_part_folders, "a folder train with class folders")):
            part = part_of(folder.name)
            if part is None:
                raise self.error(f"{folder}: {folder.name!r} is not train, val or test; move the folder away")
            yield from class_samples(self, folder, part)
