"""RAF-DB, the basic-expression part (Li, Deng and Du, CVPR 2017): portraits from the web, the source of the paper."""

import re
from collections.abc import Iterator
from pathlib import Path

from pipeline.datasets.parts.base import Dataset, Sample
from pipeline.labels import ANGER, DISGUST, FEAR, HAPPINESS, NEUTRAL, SADNESS, SURPRISE

LIST = "EmoLabel/list_patition_label.txt"  # misspelt so in the release
LABELS = {"1": SURPRISE, "2": FEAR, "3": DISGUST, "4": HAPPINESS, "5": SADNESS, "6": ANGER, "7": NEUTRAL}


class RafDb(Dataset):
    """RAF-DB: 12,271 train and 3,068 test pictures, named with part and label by one list file."""

    name = "rafdb"
    title = "RAF-DB"
    layout = f"{LIST} (lines such as 'train_00001.jpg 5') and Image/aligned/train_00001_aligned.jpg or Image/original/"

    @property
    def aligned(self) -> bool:
        """Whether the pictures are those below ``Image/aligned``."""
        return self._pictures()[1] != ""

    def scan(self) -> Iterator[Sample]:
        """One sample per line of the list; the 100×100 aligned pictures where they are there, else the originals.

        A listed picture that is missing is a sample too: reading it fails, and is counted with the unreadable ones.

        Raises:
            DatasetError: no list, no picture folder, or a line that is malformed or has a label outside 1–7.
        """
        folder, ending = self._pictures()
        for number, line in enumerate(self._lines(), start=1):
            if not line.strip():
                continue
            where = f"{self.root / LIST}, line {number}"
            match = re.fullmatch(r"((train|test)_[0-9]+)(\.jpg) +(\S+)", line.strip())
            if match is None:
                raise self.fault(f"{where}: {line.strip()!r} is not of the form 'train_00001.jpg 5'; unpack it again")
            stem, split, suffix, code = match.groups()
            if code not in LABELS:
                raise self.fault(f"{where}: label {code!r} is not one of 1–7; correct the line")
            yield Sample(f"{folder}/{stem}{ending}{suffix}", LABELS[code], split=split)

    def _pictures(self) -> tuple[str, str]:
        for folder, ending in (("Image/aligned", "_aligned"), ("Image/original", "")):
            if (self.root / folder).is_dir():
                return folder, ending
        raise self.fault(f"{self.root / 'Image'}: neither aligned/ nor original/ is there; unpack one of them")

    def _lines(self) -> list[str]:
        path: Path = self.root / LIST
        try:
            return path.read_text(encoding="utf-8-sig").splitlines()
        except FileNotFoundError:
            raise self.fault(f"{path}: no such file; unpack RAF-DB's EmoLabel there") from None
        except UnicodeDecodeError as error:
            raise self.fault(f"{path}: not a text file ({error.reason}); unpack it again") from error
