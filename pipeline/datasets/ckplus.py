"""CK+, the extended Cohn-Kanade set (Lucey et al., CVPR Workshops 2010): posed sequences, neutral to peak."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import ClassVar

from pipeline.datasets.parts.base import Dataset, Sample
from pipeline.datasets.parts.class_folders import subfolders
from pipeline.datasets.parts.finder import find
from pipeline.datasets.parts.sequences import neutral_and_peak
from pipeline.labels import ANGER, DISGUST, FEAR, HAPPINESS, NEUTRAL, SADNESS, SURPRISE

CONTEMPT = 2
LABELS = {0: NEUTRAL, 1: ANGER, 3: DISGUST, 4: FEAR, 5: HAPPINESS, 6: SADNESS, 7: SURPRISE}


class CkPlus(Dataset):
    """CK+: of each labelled sequence without contempt the first frame (neutral) and the last three; 1,236 pictures."""

    name = "ckplus"
    title = "CK+"
    published: ClassVar = {"all": 1236}
    layout = (
        "cohn-kanade-images/S005/001/S005_001_00000001.png and Emotion/S005/001/S005_001_00000011_emotion.txt "
        "(a number from 0 to 7; sequences without such a file are left out)"
    )

    def scan(self) -> Iterator[Sample]:
        """Four samples per labelled sequence.

        Raises:
            DatasetError: a top folder is missing, an emotion file is empty or holds no code from 0 to 7, a sequence has
                two of them, or a labelled sequence lacks its pictures.
        """
        pictures, emotions = (
            find(self, _of_subjects(name), f"a folder {name} with subjects (S005 …)")
            for name in ("cohn-kanade-images", "Emotion")
        )
        for subject in subfolders(emotions):
            for sequence in subfolders(subject):
                code = self._code(sequence)
                if code is None or code == CONTEMPT:
                    continue
                name = f"{subject.name}/{sequence.name}"
                if not (pictures / name).is_dir():
                    raise self.fault(f"{pictures / name}: no such folder, but {sequence} labels it; unpack it")
                yield from neutral_and_peak(self, pictures / name, LABELS[code], subject.name, name)

    def _code(self, sequence: Path) -> int | None:
        """The emotion code of a sequence, None where it has no label file."""
        files = sorted(path for path in sequence.glob("*_emotion.txt") if not path.name.startswith("."))
        if not files:
            return None
        if len(files) > 1:
            raise self.fault(f"{sequence}: {len(files)} emotion files; keep the one that belongs to the sequence")
        text = files[0].read_bytes().decode("utf-8", errors="replace").strip()
        try:
            value = float(text)
        except ValueError:
            found = repr(text) if text else "an empty file"
            raise self.fault(
                f"{files[0]}: expected a number from 0 to 7, found {found}; unpack the file again, or remove it to "
                f"leave the sequence out"
            ) from None
        if value not in LABELS and value != CONTEMPT:
            raise self.fault(f"{files[0]}: emotion code {text} is not one of 0–7; correct the file")
        return int(value)


def _of_subjects(name: str) -> Callable[[Path], bool]:
    """Whether a folder has this name and subjects in it."""

    def mark(folder: Path) -> bool:
        named = folder.name.casefold() == name.casefold()
        return named and any(re.fullmatch(r"S[0-9]+", inside.name) for inside in subfolders(folder))

    return mark
