"""Lists and labels of sets, damaged on purpose; ``python -m tests.datasets.hostile 500`` counts what becomes of them.

So many damaged files a set, each time the same. The set is then listed, and its pictures read: every end must be a
picture, one that is listed as unreadable, or one message that names the damaged file.
"""

import io
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from pipeline.datasets import open_dataset
from pipeline.errors import DatasetError, UnreadableImageError
from tests.datasets.drawing import save
from tests.datasets.test_mmi import add_session

PIXELS = " ".join(["7"] * 48 * 48)
CODES = (0, 1, 3)
VOTES = "Usage,Image name,neutral,happiness,surprise,sadness,anger,disgust,fear,contempt,unknown,NF\n"
SCRAPS = (
    *(b"inf", b"-inf", b"nan", b"1e999", b"-1", b"9" * 400, b"9" * 5000, b"0x10", b"1_0", b"3.0", b"\xb2", b"\xd9\xa3"),
    *(b'"', b'""', b"'", b",", b",,,", b";", b"\t", b"\n", b"\r", b"\r\n", b"\n\n\n", b"\0", b"\x1a", b"\x0c", b"/"),
    *(b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff", b"\xe9", b"\xc3\xa9", b"\xe2\x80\xa8", b"\xed\xa0\x80", b"..", b"<"),
    *(b"x" * 300, b"x" * 160_000, b" " * 999, b"PK\x03\x04", b"\x93NUMPY\x01\0v\0", b"%PDF-1.4", b"{", b"[" * 9999),
)
"""Bytes that are put into a file: what readers of lists are known to stumble over."""
ENCODINGS = ("utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "cp037", "utf-7")


def affectnet(root: Path) -> Path:
    """The tables of the first release."""
    rows = [f"1/{code}.jpg,0,0,96,96,1;2,{code},0,0\n" for code in CODES]
    for code in CODES:
        save(root / f"Manually_Annotated_Images/1/{code}.jpg")
    head = "subDirectory_filePath,face_x,face_y,face_width,face_height,facial_landmarks,expression,valence,arousal\n"
    (root / "training.csv").write_text(head + "".join(rows))
    return root / "training.csv"


def affectnet_arrays(root: Path) -> Path:
    """The release of eight classes."""
    (root / "train_set/annotations").mkdir(parents=True)
    for code in CODES:
        save(root / f"train_set/images/{code}.jpg")
        np.save(root / f"train_set/annotations/{code}_exp.npy", np.array(code))
    return root / "train_set/annotations/1_exp.npy"


def afe(root: Path) -> Path:
    """A list of boxes."""
    save(root / "images/a.jpg", size=(90, 70))
    (root / "list").mkdir()
    (root / "list/train_list.txt").write_text("".join(f"a.jpg 10 10 40 40 {code}\n" for code in CODES))
    return root / "list/train_list.txt"


def expw(root: Path) -> Path:
    """A list of boxes."""
    save(root / "image/origin/a.jpg", size=(90, 70))
    (root / "label.lst").write_text("".join(f"a.jpg {code} 10 10 40 40.0 99.5 {code}\n" for code in CODES))
    return root / "label.lst"


def rafdb(root: Path) -> Path:
    """The release's list."""
    for code in CODES:
        save(root / f"Image/aligned/train_0000{code}_aligned.jpg")
    (root / "EmoLabel").mkdir()
    lines = [f"train_0000{code}.jpg {code + 1}\n" for code in CODES]
    (root / "EmoLabel/list_patition_label.txt").write_text("".join(lines))
    return root / "EmoLabel/list_patition_label.txt"


def rafdb_table(root: Path) -> Path:
    """A table beside pictures."""
    for code in CODES:
        save(root / f"train/{code}.jpg")
    (root / "train_labels.csv").write_text("image,label\n" + "".join(f"{code}.jpg,{code + 1}\n" for code in CODES))
    return root / "train_labels.csv"


def fer2013(root: Path) -> Path:
    """A table of pictures."""
    rows = "".join(f"{code},{PIXELS},Training\n" for code in CODES)
    (root / "fer2013.csv").write_text(f"emotion,pixels,Usage\n{rows}")
    return root / "fer2013.csv"


def ckplus_table(root: Path) -> Path:
    """A table of pictures, known by its columns."""
    return fer2013(root).rename(root / "ckextended.csv")


def ferplus(root: Path) -> Path:
    """The table of votes beside that of pictures."""
    fer2013(root)
    votes = ([0] * code + [10] + [0] * (9 - code) for code in CODES)
    rows = (f"Training,fer{row}.png,{','.join(map(str, each))}\n" for row, each in enumerate(votes))
    (root / "fer2013new.csv").write_text(VOTES + "".join(rows))
    return root / "fer2013new.csv"


def ckplus(root: Path) -> Path:
    """A sequence's label."""
    for subject in ("S005", "S006"):
        for frame in range(1, 5):
            save(root / f"cohn-kanade-images/{subject}/001/{subject}_001_{frame:08d}.png")
        (root / f"Emotion/{subject}/001").mkdir(parents=True)
        (root / f"Emotion/{subject}/001/{subject}_001_00000004_emotion.txt").write_text("   3.0000000e+00\n")
    return root / "Emotion/S005/001/S005_001_00000004_emotion.txt"


def meanings(root: Path) -> Path:
    """What the numbers of a folder's classes mean."""
    for code in CODES:
        save(root / f"{code}/a.jpg")
    (root / "classes.json").write_text('{"0": "angry", "1": "fear", "3": null}')
    return root / "classes.json"


def mmi(root: Path) -> Path:
    """A video's description."""
    return add_session(root, 1, "4", frames=4).with_suffix(".xml")


SETS: dict[str, tuple[str, Callable[[Path], Path]]] = {
    "AffectNet": ("affectnet", affectnet),
    "AffectNet, arrays": ("affectnet", affectnet_arrays),
    "AFE": ("afe", afe),
    "ExpW": ("expw", expw),
    "RAF-DB": ("rafdb", rafdb),
    "RAF-DB, table": ("rafdb", rafdb_table),
    "FER2013": ("fer2013", fer2013),
    "FERPlus": ("ferplus", ferplus),
    "CK+": ("ckplus", ckplus),
    "CK+, table": ("ckplus", ckplus_table),
    "MMI": ("mmi", mmi),
    "meanings of numbers": ("mine", meanings),
}
"""The reader's name, and how its set is made; that returns the file to be damaged."""


def damaged(content: bytes, chance: np.random.Generator) -> tuple[str, bytes]:
    """``content`` after one of the accidents of files, drawn by ``chance``."""
    data = bytearray(content)
    place = int(chance.integers(len(data)))
    kind = ("cut", "flipped", "zeroed", "scrap", "scrap", "replaced", "encoded", "array", "lines")[chance.integers(9)]
    scrap = SCRAPS[int(chance.integers(len(SCRAPS)))]
    if kind == "cut":
        del data[place:]
    elif kind == "flipped":
        for at in chance.integers(len(data), size=int(chance.integers(1, 9))):
            data[at] ^= 1 << int(chance.integers(8))
    elif kind == "zeroed":
        data[place : place + 40] = bytes(len(data[place : place + 40]))
    elif kind == "scrap":
        data[place:place] = scrap
    elif kind == "replaced":
        fields = [at for at, byte in enumerate(data) if byte in b" ,\n"] or [0]
        at = fields[int(chance.integers(len(fields)))] + 1
        ends = (end for end in range(at, len(data)) if data[end] in b" ,\n")
        data[at : next(ends, len(data))] = scrap
    elif kind == "encoded":
        encoding = ENCODINGS[int(chance.integers(len(ENCODINGS)))]
        data = bytearray(content.decode("latin-1").encode(encoding, errors="replace"))
    elif kind == "array":
        values = (np.zeros(0), np.zeros((2, 3)), np.array(1.5), np.array("x"), np.array(None), np.array(1 + 2j))
        file = io.BytesIO()
        np.save(file, values[int(chance.integers(len(values)))], allow_pickle=True)
        data = bytearray(file.getvalue())
    else:
        lines = content.splitlines(keepends=True)
        chance.shuffle(lines)
        data = bytearray(b"".join([*lines, lines[0]]))
    return kind, bytes(data)


def outcomes(name: str, folder: Path, count: int) -> Iterator[str]:
    """How the set ends for each of ``count`` damaged files: "pictures", "unreadable", "message", or what is wrong."""
    reader, make = SETS[name]
    file = make(folder)
    whole = file.read_bytes()
    chance = np.random.Generator(np.random.PCG64(sum(name.encode())))
    for number in range(count):
        kind, content = damaged(whole, chance)
        file.write_bytes(content)
        try:
            dataset = open_dataset(reader, folder)
            samples = dataset.samples()
        except DatasetError as error:
            yield "message" if str(folder) in str(error) else f"no file named ({number}, {kind}): {error}"
            continue
        ends = set()
        for sample in samples:
            try:
                picture = dataset.read(sample)
                assert picture.size > 0
                assert picture.dtype == np.uint8
            except UnreadableImageError:
                ends.add("unreadable")
        yield "unreadable" if ends else "pictures"


def main(count: int) -> None:
    """``count`` damaged files a set: how often each end came."""
    for name in SETS:
        with TemporaryDirectory() as folder:
            print(f"{name}: {dict(Counter(outcomes(name, Path(folder), count)))}", flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]))
