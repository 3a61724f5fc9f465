"""A person: geometry and colours that are the same in all pictures of the person."""

from dataclasses import dataclass

import numpy as np

Colour = tuple[int, int, int]
"""Red, green, blue, 0 to 255."""

HAIR_STYLES = ("short", "parted", "receding", "bald", "long", "bob", "bun", "fringe")
SKINS: tuple[Colour, ...] = (
    (241, 206, 180),
    (232, 190, 160),
    (222, 176, 142),
    (204, 154, 118),
    (172, 122, 88),
    (148, 104, 78),
    (126, 89, 68),
)
HAIRS: tuple[Colour, ...] = ((28, 24, 24), (54, 38, 30), (88, 58, 38), (138, 92, 54), (190, 154, 96), (150, 148, 146))
IRISES: tuple[Colour, ...] = ((62, 40, 26), (92, 60, 34), (96, 106, 60), (74, 110, 140), (96, 116, 120))
CLOTHES: tuple[Colour, ...] = (
    (60, 74, 110),
    (150, 50, 50),
    (60, 104, 74),
    (210, 206, 196),
    (40, 40, 46),
    (190, 150, 70),
)


@dataclass(frozen=True)
class Cast:
    """The people of a set.

    Attributes:
        women: share of women.
        skins: relative frequency of each of ``SKINS``.
        hairs: relative frequency of each of ``HAIRS``.
        glasses: share of people with glasses.
        beards: share of men with facial hair.
        eyes: factor on the typical size of the eyes.
        mouth: factor on the typical width of the mouth.
        width: factor on the typical width of the head.
    """

    women: float
    skins: tuple[float, ...]
    hairs: tuple[float, ...]
    glasses: float
    beards: float
    eyes: float = 1.0
    mouth: float = 1.0
    width: float = 1.0


@dataclass(frozen=True)
class Identity:
    """One person. Factors are around 1; offsets are in face units (pipeline/standins/geometry.py)."""

    woman: bool
    head_width: float
    jaw_width: float
    chin: float
    eye_size: float
    eye_tilt: float
    brow_height: float
    brow_thickness: float
    brow_arch: float
    nose_width: float
    nose_length: float
    mouth_width: float
    mouth_height: float
    lip_fullness: float
    age: float
    skin: Colour
    hair: Colour
    iris: Colour
    lips: Colour
    clothes: Colour
    hair_style: str
    facial_hair: str
    glasses: bool


def sample_identity(cast: Cast, rng: np.random.Generator) -> Identity:
    """Draw a random person of a set."""

    def about(mean: float, spread: float) -> float:
        return float(mean + spread * np.clip(rng.normal(), -2.0, 2.0))

    woman = bool(rng.random() < cast.women)
    skin = _vary(_pick(SKINS, cast.skins, rng), 8, rng)
    hair = _vary(_pick(HAIRS, cast.hairs, rng), 8, rng)
    iris = IRISES[0] if sum(skin) < 480 or sum(hair) < 110 else IRISES[int(rng.integers(len(IRISES)))]
    painted = float(rng.uniform(0.15, 0.55)) if woman else float(rng.uniform(0.0, 0.12))
    lips = _blend(_blend(skin, (150, 60, 60), 0.42), (176, 34, 52), painted)
    styles = HAIR_STYLES[4:] if woman else HAIR_STYLES[:4]
    style_shares = (0.35, 0.25, 0.2, 0.2) if woman else (0.45, 0.3, 0.17, 0.08)
    bearded = not woman and bool(rng.random() < cast.beards)
    return Identity(
        woman=woman,
        head_width=about(0.97 if woman else 1.02, 0.035) * cast.width,
        jaw_width=about(0.93 if woman else 1.04, 0.05),
        chin=about(-4.0 if woman else 3.0, 5.0),
        eye_size=about(1.08 if woman else 1.0, 0.06) * cast.eyes,
        eye_tilt=about(0.0, 1.5),
        brow_height=about(0.0, 2.5),
        brow_thickness=about(0.8 if woman else 1.15, 0.15),
        brow_arch=about(1.0 if woman else 0.6, 0.25),
        nose_width=about(0.93 if woman else 1.05, 0.07),
        nose_length=about(0.0, 3.5),
        mouth_width=about(1.0, 0.06) * cast.mouth,
        mouth_height=about(0.0, 2.5),
        lip_fullness=about(1.15 if woman else 0.95, 0.14),
        age=float(rng.beta(1.4, 3.0)),
        skin=skin,
        hair=hair,
        iris=iris,
        lips=lips,
        clothes=_vary(CLOTHES[int(rng.integers(len(CLOTHES)))], 20, rng),
        hair_style=styles[int(rng.choice(4, p=style_shares))],
        facial_hair=str(rng.choice(("stubble", "moustache", "beard"))) if bearded else "none",
        glasses=bool(rng.random() < cast.glasses),
    )


def _pick(colours: tuple[Colour, ...], frequencies: tuple[float, ...], rng: np.random.Generator) -> Colour:
    shares = np.asarray(frequencies, np.float64)
    return colours[int(rng.choice(len(colours), p=shares / shares.sum()))]


def _vary(colour: Colour, spread: int, rng: np.random.Generator) -> Colour:
    common = rng.integers(-spread, spread + 1)
    red, green, blue = (int(np.clip(c + common + rng.integers(-spread // 3, spread // 3 + 1), 0, 255)) for c in colour)
    return red, green, blue


def _blend(first: Colour, second: Colour, share: float) -> Colour:
    red, green, blue = (round(a + share * (b - a)) for a, b in zip(first, second, strict=True))
    return red, green, blue
