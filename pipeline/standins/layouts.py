"""The pictures of a stand-in set and its other files, in the layout in which the data set is distributed."""

import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np


@dataclass(frozen=True)
class Shot:
    """What a picture shows.

    Attributes:
        expression: a key of ``PROTOTYPES``.
        subject: number of the person.
        scene: number of the sequence.
        frame: the picture's position in its scene.
        share: intensity of the expression, from 0 (neutral) to 1 (peak).
        film: number of the film, whose pictures share light and colours; None: this picture shares them with no other.
    """

    expression: str
    subject: int
    scene: int
    frame: int = 0
    share: float = 1.0
    film: int | None = None


def generator(seed: int, dataset: str, *place: object) -> np.random.Generator:
    """Return the random generator of one item of a set (subject 3, scene 17, …), independent of those of all others."""
    words = [zlib.crc32(str(word).encode()) for word in (dataset, *place)]
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, *words])))


@dataclass(frozen=True)
class Picture:
    """One picture of a set.

    Attributes:
        path: path below the set's root: of the picture, or of the table that it is a row of.
        shot: what it shows.
        row: emotion and Usage, if it is a row of a table.
    """

    path: str
    shot: Shot
    row: tuple[str, str] | None = None


@dataclass(frozen=True)
class Plan:
    """The content of a set.

    Attributes:
        pictures: the pictures in the order of drawing.
        texts: contents of text files by path.
        folders: folders to create even if they are empty.
    """

    pictures: list[Picture]
    texts: dict[str, str] = field(default_factory=dict)
    folders: tuple[str, ...] = ()


RAFDB_CODES = {"surprise": 1, "fear": 2, "disgust": 3, "happiness": 4, "sadness": 5, "anger": 6, "neutral": 7}
CKPLUS_CODES = {"anger": 1, "contempt": 2, "disgust": 3, "fear": 4, "happiness": 5, "sadness": 6, "surprise": 7}
FER2013_CODES = {"anger": 0, "disgust": 1, "fear": 2, "happiness": 3, "sadness": 4, "surprise": 5, "neutral": 6}
JAFFE_CODES = {
    "anger": "AN",
    "disgust": "DI",
    "fear": "FE",
    "happiness": "HA",
    "sadness": "SA",
    "surprise": "SU",
    "neutral": "NE",
}
OULU_FOLDERS = {
    "anger": "Anger",
    "disgust": "Disgust",
    "fear": "Fear",
    "happiness": "Happiness",
    "sadness": "Sadness",
    "surprise": "Surprise",
}
SFEW_FOLDERS = {
    "anger": "Angry",
    "disgust": "Disgust",
    "fear": "Fear",
    "happiness": "Happy",
    "neutral": "Neutral",
    "sadness": "Sad",
    "surprise": "Surprise",
}
JAFFE_SUBJECTS = ("KA", "KL", "KM", "KR", "MK", "NA", "NM", "TM", "UY", "YM")

RAFDB_COUNTS = {
    "surprise": 1290,
    "fear": 281,
    "disgust": 717,
    "happiness": 4772,
    "sadness": 1982,
    "anger": 705,
    "neutral": 2524,
}
CKPLUS_COUNTS = {"anger": 45, "disgust": 59, "fear": 25, "happiness": 69, "sadness": 28, "surprise": 83}
FER2013_COUNTS = {
    "anger": 4953,
    "disgust": 547,
    "fear": 5121,
    "happiness": 8989,
    "sadness": 6077,
    "surprise": 4002,
    "neutral": 6198,
}
SFEW_COUNTS = {
    "anger": 178,
    "disgust": 52,
    "fear": 78,
    "happiness": 184,
    "neutral": 144,
    "sadness": 161,
    "surprise": 94,
}
"""Number of pictures (CK+: sequences) per class in the original sets. The stand-ins keep these proportions."""

_CKPLUS_SHARES = (0.0, 0.3, 0.65, 0.92, 0.97, 1.0)
_OULU_SHARES = (0.0, 0.45, 0.85, 0.95, 1.0)
_SFEW_FILMS = 12


def apportion(total: int, counts: Mapping[str, int], least: int = 2) -> dict[str, int]:
    """Divide pictures among classes in proportion to ``counts``, by the method of largest remainders.

    A class with a larger count never gets a smaller share.

    Args:
        total: total number of pictures; increased if it is too small for ``least``.
        counts: number of pictures per class in the original set.
        least: minimum number of pictures per class.

    Returns:
        Number of pictures by class.
    """
    total = max(total, least * len(counts))
    rare: set[str] = set()
    while True:
        common = {name: count for name, count in counts.items() if name not in rare}
        rest = total - least * len(rare)
        exact = {name: rest * count / sum(common.values()) for name, count in common.items()}
        below = {name for name, value in exact.items() if value < least}
        if not below:
            break
        rare |= below
    shares = {name: least if name in rare else int(exact[name]) for name in counts}
    by_remainder = sorted(exact, key=lambda name: shares[name] - exact[name])
    for name in by_remainder[: total - sum(shares.values())]:
        shares[name] += 1
    return shares


def _shuffled(shares: Mapping[str, int], rng: np.random.Generator) -> list[str]:
    names = [name for name, count in shares.items() for _ in range(count)]
    return [names[i] for i in rng.permutation(len(names))]


def _scaled(count: int, scale: float, least: int = 1) -> int:
    return max(least, round(count * scale))


def _rafdb(seed: int, scale: float) -> Plan:
    pictures, lines, scene = [], [], 0
    for part, total, digits in (("train", 640, 5), ("test", 160, 4)):
        expressions = _shuffled(apportion(_scaled(total, scale), RAFDB_COUNTS), generator(seed, "rafdb", part))
        for number, expression in enumerate(expressions, start=1):
            name = f"{part}_{number:0{digits}d}"
            shot = Shot(expression, subject=scene, scene=scene)
            pictures.append(Picture(f"Image/aligned/{name}_aligned.jpg", shot))
            lines.append(f"{name}.jpg {RAFDB_CODES[expression]}\n")
            scene += 1
    return Plan(pictures, {"EmoLabel/list_patition_label.txt": "".join(lines)})


def _ckplus(seed: int, scale: float) -> Plan:
    """Plan labelled sequences, two of contempt, and three without a label, of which one has an empty label folder."""
    expressions = _shuffled(apportion(_scaled(40, scale), CKPLUS_COUNTS), generator(seed, "ckplus", "order"))
    plain = ["happiness", "surprise", "anger"]
    labels = [*expressions, "contempt", "contempt", None, None, None]
    acted = [*expressions, "contempt", "contempt", *plain]
    subjects = _scaled(25, scale, least=4)
    takes = [0] * subjects
    pictures: list[Picture] = []
    texts: dict[str, str] = {}
    folders: list[str] = []
    for scene, (expression, label) in enumerate(zip(acted, labels, strict=True)):
        subject = scene % subjects
        takes[subject] += 1
        place = f"S{5 + 4 * subject:03d}/{takes[subject]:03d}"
        stem = place.replace("/", "_")
        for frame, share in enumerate(_CKPLUS_SHARES):
            shot = Shot(expression, subject, scene, frame, share)
            pictures.append(Picture(f"cohn-kanade-images/{place}/{stem}_{frame + 1:08d}.png", shot))
        if label is not None:
            name = f"Emotion/{place}/{stem}_{len(_CKPLUS_SHARES):08d}_emotion.txt"
            texts[name] = f"   {CKPLUS_CODES[label]:.7e}\n"
        elif not folders:
            folders.append(f"Emotion/{place}")
    return Plan(pictures, texts, tuple(folders))


def _jaffe(seed: int, scale: float) -> Plan:  # noqa: ARG001 - every plan has the same signature
    """Plan at most ten women: with a scale below 1 fewer women, with a larger one more pictures of each."""
    women = JAFFE_SUBJECTS[: _scaled(10, min(scale, 1.0), least=2)]
    pictures: list[Picture] = []
    for subject, woman in enumerate(women):
        number = 1 + 21 * subject
        for expression, code in JAFFE_CODES.items():
            for repeat in range(_scaled(2, max(scale, 1.0))):
                shot = Shot(expression, subject, scene=len(pictures))
                pictures.append(Picture(f"{woman}.{code}{repeat + 1}.{number}.tiff", shot))
                number += 1
    return Plan(pictures)


def _oulu(seed: int, scale: float) -> Plan:  # noqa: ARG001 - every plan has the same signature
    pictures, scene = [], 0
    for subject in range(_scaled(10, scale, least=2)):
        for expression, folder in OULU_FOLDERS.items():
            for frame, share in enumerate(_OULU_SHARES):
                path = f"OriginalImg/VL/Strong/P{subject + 1:03d}/{folder}/{frame:03d}.jpeg"
                pictures.append(Picture(path, Shot(expression, subject, scene, frame, share)))
            scene += 1
    return Plan(pictures)


def _fer2013(seed: int, scale: float) -> Plan:
    pictures: list[Picture] = []
    for usage, total in (("Training", 420), ("PublicTest", 60), ("PrivateTest", 120)):
        expressions = _shuffled(apportion(_scaled(total, scale), FER2013_COUNTS), generator(seed, "fer2013", usage))
        for expression in expressions:
            shot = Shot(expression, subject=len(pictures), scene=len(pictures))
            pictures.append(Picture("fer2013.csv", shot, (str(FER2013_CODES[expression]), usage)))
    return Plan(pictures)


def _sfew(seed: int, scale: float) -> Plan:
    """Plan stills of a few films. As in the original, each film is only in one part."""
    pictures: list[Picture] = []
    for part, total, first in (("Train", 120, 0), ("Val", 70, _SFEW_FILMS)):
        expressions = _shuffled(apportion(_scaled(total, scale), SFEW_COUNTS), generator(seed, "sfew", part))
        for number, expression in enumerate(expressions):
            film = first + number % _SFEW_FILMS
            name = f"Film{film + 1:02d}_{number // _SFEW_FILMS:04d}{number:05d}_{number + 1:08d}.png"
            shot = Shot(expression, subject=len(pictures), scene=len(pictures), film=film)
            pictures.append(Picture(f"{part}/{SFEW_FOLDERS[expression]}/{name}", shot))
    return Plan(pictures)


def plan(dataset: str, seed: int, scale: float) -> Plan:
    """Return the plan of one set; ``dataset`` is one of ``pipeline.standins.DRAWN``."""
    return _MAKERS[dataset](seed, scale)


_MAKERS: dict[str, Callable[[int, float], Plan]] = {
    "rafdb": _rafdb,
    "ckplus": _ckplus,
    "jaffe": _jaffe,
    "oulu": _oulu,
    "fer2013": _fer2013,
    "sfew": _sfew,
}
