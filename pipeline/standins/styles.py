"""The look of each data set: its people, their acting, camera and light."""

from dataclasses import dataclass
from typing import Literal

from pipeline.standins.actions import Acting
from pipeline.standins.identity import Cast

Range = tuple[float, float]
"""Lowest and highest value of a uniform distribution."""


@dataclass(frozen=True)
class Style:
    """The look of a set's pictures. A ``Range`` is that of a uniform distribution.

    Attributes:
        height: height in pixels.
        width: width in pixels.
        colour: whether pictures have colour, else they are grey.
        eyes: distance of the eyes in pixels.
        centre_x: column of the point between the eyes, as a share of the picture's width.
        centre_y: row of the point between the eyes, as a share of the picture's height.
        yaw: standard deviation in radians.
        pitch: standard deviation in radians.
        roll: standard deviation in radians.
        hardness: hardness of the light, 0 to 1.
        exposure: factor.
        gamma: exponent (> 1 darkens the midtones).
        contrast: factor relative to middle grey.
        saturation: factor.
        tint: maximum tint of the light, as a share of each colour.
        blur: standard deviation in pixels.
        noise: standard deviation in grey levels.
        vignette: loss of light in the corners, as a share.
        ink: factor on the strength of lines and wrinkles.
        background: lab: an even wall; outdoor: colourful patches; film: dark patches with lamps.
        extra: share of pictures with a second, smaller face.
        cast: the people of the set.
        acting: how they act.
    """

    height: int
    width: int
    colour: bool
    eyes: Range
    centre_x: Range
    centre_y: Range
    yaw: float
    pitch: float
    roll: float
    hardness: Range
    exposure: Range
    gamma: Range
    contrast: Range
    saturation: Range
    tint: float
    blur: Range
    noise: Range
    vignette: float
    ink: Range
    background: Literal["lab", "outdoor", "film"]
    extra: float
    cast: Cast
    acting: Acting


_ALL_SKINS = (3.0, 4.0, 4.0, 3.0, 2.0, 2.0, 1.0)
_ALL_HAIRS = (4.0, 4.0, 3.0, 2.0, 1.5, 1.0)
_ASIAN_SKINS = (3.0, 5.0, 4.0, 1.0, 0.0, 0.0, 0.0)
_BLACK_HAIR = (6.0, 1.0, 0.0, 0.0, 0.0, 0.0)

STYLES = {
    "rafdb": Style(
        height=100,
        width=100,
        colour=True,
        eyes=(34.0, 39.0),
        centre_x=(0.48, 0.52),
        centre_y=(0.38, 0.43),
        yaw=0.15,
        pitch=0.08,
        roll=0.05,
        hardness=(0.0, 0.8),
        exposure=(0.8, 1.15),
        gamma=(0.8, 1.35),
        contrast=(0.85, 1.15),
        saturation=(0.7, 1.3),
        tint=0.06,
        blur=(0.0, 0.9),
        noise=(1.0, 6.0),
        vignette=0.1,
        ink=(0.6, 1.1),
        background="outdoor",
        extra=0.0,
        cast=Cast(0.52, _ALL_SKINS, _ALL_HAIRS, 0.12, 0.3),
        acting=Acting(strength=0.78, spread=0.22, weak=0.18, stray=0.3),
    ),
    "ckplus": Style(
        height=490,
        width=640,
        colour=False,
        eyes=(80.0, 96.0),
        centre_x=(0.46, 0.54),
        centre_y=(0.4, 0.47),
        yaw=0.03,
        pitch=0.03,
        roll=0.03,
        hardness=(0.0, 0.35),
        exposure=(0.85, 1.0),
        gamma=(0.9, 1.15),
        contrast=(0.85, 1.05),
        saturation=(1.0, 1.0),
        tint=0.0,
        blur=(1.0, 2.0),
        noise=(2.0, 4.0),
        vignette=0.15,
        ink=(0.4, 0.75),
        background="lab",
        extra=0.0,
        cast=Cast(0.65, _ALL_SKINS, _ALL_HAIRS, 0.0, 0.08, eyes=0.94, width=0.98),
        acting=Acting(strength=0.82, spread=0.16, weak=0.2, stray=0.25),
    ),
    "jaffe": Style(
        height=256,
        width=256,
        colour=False,
        eyes=(54.0, 62.0),
        centre_x=(0.47, 0.53),
        centre_y=(0.45, 0.51),
        yaw=0.03,
        pitch=0.03,
        roll=0.03,
        hardness=(0.2, 0.5),
        exposure=(0.85, 1.0),
        gamma=(1.0, 1.3),
        contrast=(0.9, 1.1),
        saturation=(1.0, 1.0),
        tint=0.0,
        blur=(1.0, 1.7),
        noise=(1.0, 3.0),
        vignette=0.1,
        ink=(0.4, 0.65),
        background="lab",
        extra=0.0,
        cast=Cast(1.0, _ASIAN_SKINS, _BLACK_HAIR, 0.0, 0.0, eyes=0.9, mouth=0.94, width=1.03),
        acting=Acting(strength=0.66, spread=0.17, weak=0.2, stray=0.2),
    ),
    "oulu": Style(
        height=240,
        width=320,
        colour=True,
        eyes=(34.0, 44.0),
        centre_x=(0.44, 0.56),
        centre_y=(0.42, 0.5),
        yaw=0.04,
        pitch=0.04,
        roll=0.03,
        hardness=(0.0, 0.3),
        exposure=(0.8, 0.95),
        gamma=(0.95, 1.2),
        contrast=(0.75, 0.9),
        saturation=(0.5, 0.75),
        tint=0.025,
        blur=(0.6, 1.1),
        noise=(2.0, 4.0),
        vignette=0.1,
        ink=(0.6, 0.9),
        background="lab",
        extra=0.0,
        cast=Cast(0.3, (2.0, 4.0, 4.0, 2.0, 0.5, 0.0, 0.0), (5.0, 4.0, 2.0, 1.0, 1.0, 0.0), 0.35, 0.2),
        acting=Acting(strength=0.8, spread=0.15, weak=0.15, stray=0.2),
    ),
    "fer2013": Style(
        height=48,
        width=48,
        colour=False,
        eyes=(16.5, 19.5),
        centre_x=(0.47, 0.53),
        centre_y=(0.36, 0.42),
        yaw=0.14,
        pitch=0.09,
        roll=0.06,
        hardness=(0.1, 0.9),
        exposure=(0.95, 1.25),
        gamma=(0.7, 1.15),
        contrast=(1.0, 1.3),
        saturation=(1.0, 1.0),
        tint=0.0,
        blur=(0.0, 0.55),
        noise=(2.0, 7.5),
        vignette=0.1,
        ink=(0.9, 1.4),
        background="outdoor",
        extra=0.0,
        cast=Cast(0.48, _ALL_SKINS, _ALL_HAIRS, 0.12, 0.3, eyes=1.03, mouth=1.04),
        acting=Acting(strength=0.82, spread=0.24, weak=0.2, stray=0.35),
    ),
    "sfew": Style(
        height=576,
        width=720,
        colour=True,
        eyes=(55.0, 100.0),
        centre_x=(0.3, 0.7),
        centre_y=(0.38, 0.5),
        yaw=0.2,
        pitch=0.08,
        roll=0.07,
        hardness=(0.4, 1.0),
        exposure=(0.72, 1.0),
        gamma=(1.0, 1.3),
        contrast=(0.9, 1.15),
        saturation=(0.4, 0.9),
        tint=0.1,
        blur=(1.2, 3.0),
        noise=(3.0, 6.0),
        vignette=0.45,
        ink=(0.5, 0.9),
        background="film",
        extra=0.25,
        cast=Cast(0.45, _ALL_SKINS, _ALL_HAIRS, 0.1, 0.25, width=0.98),
        acting=Acting(strength=0.72, spread=0.22, weak=0.22, stray=0.35),
    ),
}
"""The styles by data set. They differ on purpose: these differences are the domain gap that adaptation must close."""
