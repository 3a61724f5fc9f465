"""CK+, the extended Cohn-Kanade set (Lucey et al., CVPR Workshops 2010): posed sequences from neutral to the peak."""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import ClassVar

from pipeline.datasets.parts.base import Sample
from pipeline.datasets.parts.classes import read_codes
from pipeline.datasets.parts.finder import Condition, choose, matching_folders, not_found, note_choice
from pipeline.datasets.parts.folders import files_by_name, subfolders
from pipeline.datasets.parts.lists import number_of, read_text
from pipeline.datasets.parts.pictures import is_picture
from pipeline.datasets.parts.sequences import neutral_and_peak
from pipeline.datasets.parts.tables import FER2013_CODES, PixelTable, TableOrFiles, pixel_tables
from pipeline.errors import short_key, short_repr
from pipeline.labels import ANGER, DISGUST, FEAR, HAPPINESS, NEUTRAL, SADNESS, SURPRISE

LABEL_FILE = "_emotion.txt"
"""The ending of a sequence's label file, in any case."""
CONTEMPT = 2
LABELS = {0: NEUTRAL, 1: ANGER, 3: DISGUST, 4: FEAR, 5: HAPPINESS, 6: SADNESS, 7: SURPRISE}
TABLE_LABELS = {**FER2013_CODES, "7": None}
"""Codes of the table in circulation (ckextended.csv): FER2013's codes, and 7 for contempt."""


class CkPlus(TableOrFiles):
    """CK+: the first frame (neutral) and the last three of each labelled sequence, without contempt; 1,236 pictures.

    If there are no sequences, the table in circulation is read: one 48×48 picture per sequence, without subjects.
    """

    name = "ckplus"
    title = "CK+"
    published: ClassVar = {"all": (135, 177, 75, 207, 84, 249, 309)}
    layout = (
        "cohn-kanade-images/S005/001/S005_001_00000001.png and Emotion/S005/001/S005_001_00000011_emotion.txt "
        "(a number from 0 to 7; sequences without such a file are left out); or a table (emotion, pixels, Usage) with "
        "0 anger, 1 disgust, 2 fear, 3 happiness, 4 sadness, 5 surprise, 6 neutral, 7 contempt"
    )

    @property
    def expected_counts(self) -> Mapping[str, int | Sequence[int]]:
        """The numbers for sequences; none for the table.

        The table's 902 rows without contempt are divided at random, differently in each copy.
        """
        return self.published if self._table is None else {}

    def scan(self) -> Iterator[Sample]:
        """Yield four samples per labelled sequence, or one per row of the table; contempt is skipped.

        Raises:
            DatasetError: pictures or labels are missing; an emotion file is empty or does not contain a code from 0 to
                7; a sequence has two of them; a labelled sequence lacks its pictures; or the table is malformed.
        """
        self._listed, self._table = True, None
        tables = [
            table
            for folder in matching_folders(self, lambda folder: bool(pixel_tables(folder)))
            for table in pixel_tables(folder)
        ]
        found = {name: matching_folders(self, condition) for name, condition in FOLDERS.items()}
        if not any(found.values()) and tables:
            self._table = PixelTable(
                self, choose(self, tables, "a table of pictures"), read_codes(self) or TABLE_LABELS
            )
            self.add_note(f"the table {self.key(self._table.path)}, as there are no sequences")
            return self._table.samples()
        for name, folders in found.items():
            if not folders:
                raise not_found(self, f"a folder {name} with subjects (S005 …)")
        pictures, emotions = (
            choose(self, folders, f"a folder {name} with subjects (S005 …)", _named(name))
            for name, folders in found.items()
        )
        note_choice(self, pictures, tables)
        return self._sequences(pictures, emotions)

    def _sequences(self, pictures: Path, emotions: Path) -> Iterator[Sample]:
        for subject in subfolders(emotions):
            for sequence in subfolders(subject):
                code = self._code(sequence)
                if code is None or code == CONTEMPT:
                    continue
                name = f"{subject.name}/{sequence.name}"
                if not (pictures / name).is_dir():
                    raise self.error(f"{pictures / name}: no such folder, but {sequence} labels it; unpack it")
                yield from neutral_and_peak(self, pictures / name, LABELS[code], subject.name, name)

    def _code(self, sequence: Path) -> int | None:
        """Return the emotion code of a sequence; None without a label file."""
        files = _label_files(sequence)
        if not files:
            if misspelt := [path.name for name, path in files_by_name(sequence).items() if "emotion" in name]:
                self.add_note(f"{self.key(sequence)} left out, as {misspelt[0]} is not named …{LABEL_FILE}")
            return None
        if len(files) > 1:
            raise self.error(f"{sequence}: {len(files)} emotion files; keep the one that belongs to the sequence")
        text = read_text(files[0], self.error).strip()
        try:
            value = number_of(text)
        except ValueError:
            found = short_repr(text) if text else "an empty file"
            raise self.error(
                f"{files[0]}: expected a number from 0 to 7, found {found}; unpack the file again, or remove it to "
                f"leave the sequence out"
            ) from None
        if value not in LABELS and value != CONTEMPT:
            raise self.error(f"{files[0]}: emotion code {short_key(text)} is not one of 0–7; correct the file")
        return int(value)


def _subjects(folder: Path) -> list[Path]:
    return [inside for inside in subfolders(folder) if re.fullmatch(r"S[0-9]+", inside.name)]


def _named(name: str) -> Condition:
    return lambda folder: folder.name.casefold() == name.casefold()


def _holds_pictures(folder: Path) -> bool:
    """Return whether a folder has subjects, and either the authors' name for pictures or pictures in sequences."""
    subjects = _subjects(folder)
    sequences = (sequence for subject in subjects for sequence in subfolders(subject))
    return bool(subjects and _named("cohn-kanade-images")(folder)) or any(
        is_picture(path) for sequence in sequences for path in sequence.iterdir()
    )


def _holds_labels(folder: Path) -> bool:
    """Return whether a folder has subjects, and either the authors' name for labels or label files in sequences."""
    subjects = _subjects(folder)
    sequences = (sequence for subject in subjects for sequence in subfolders(subject))
    return bool(subjects and _named("Emotion")(folder)) or any(_label_files(sequence) for sequence in sequences)


def _label_files(sequence: Path) -> list[Path]:
    return [path for name, path in files_by_name(sequence).items() if name.endswith(LABEL_FILE)]


FOLDERS: dict[str, Condition] = {"cohn-kanade-images": _holds_pictures, "Emotion": _holds_labels}
"""The two folders by the names that the authors gave them, with a condition that recognises renamed copies."""
