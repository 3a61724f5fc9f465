"""Facial action units (AUs) and the expressions that consist of them.

The AUs are those of the Facial Action Coding System (Ekman, Friesen and Hager 2002). The AUs of each emotion follow the
EMFACS prototypes and their usual variants.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

ACTION_UNITS = {
    1: "inner brow raiser",
    2: "outer brow raiser",
    4: "brow lowerer",
    5: "upper lid raiser",
    6: "cheek raiser",
    7: "lid tightener",
    9: "nose wrinkler",
    10: "upper lip raiser",
    12: "lip corner puller",
    15: "lip corner depressor",
    16: "lower lip depressor",
    17: "chin raiser",
    20: "lip stretcher",
    23: "lip tightener",
    24: "lip pressor",
    25: "lips part",
    26: "jaw drop",
}

PROTOTYPES: Mapping[str, tuple[Mapping[int, float], ...]] = {
    "anger": (
        {4: 0.95, 5: 0.6, 7: 0.7, 23: 0.8},
        {4: 0.95, 7: 0.8, 17: 0.5, 24: 0.85},
        {4: 0.95, 5: 0.5, 7: 0.7, 10: 0.5, 16: 0.5, 23: 0.3, 25: 0.7, 26: 0.15},
    ),
    "disgust": (
        {9: 0.95, 15: 0.5, 16: 0.5},
        {4: 0.3, 9: 0.9, 10: 0.7, 17: 0.5},
        {6: 0.3, 9: 0.85, 10: 0.9, 16: 0.4, 25: 0.6},
    ),
    "fear": (
        {1: 0.9, 2: 0.6, 4: 0.55, 5: 0.95, 7: 0.2, 20: 0.85, 25: 0.5, 26: 0.25},
        {1: 0.85, 2: 0.4, 4: 0.6, 5: 0.85, 20: 0.9, 25: 0.7},
        {1: 0.8, 2: 0.6, 4: 0.5, 5: 0.9, 20: 0.7, 25: 0.5, 26: 0.4},
    ),
    "happiness": (
        {6: 0.7, 12: 0.9},
        {6: 0.8, 12: 1.0, 25: 0.75},
        {6: 0.9, 12: 1.0, 25: 0.8, 26: 0.35},
    ),
    "sadness": (
        {1: 0.95, 4: 0.6, 15: 0.95},
        {1: 0.85, 4: 0.7, 15: 0.75, 17: 0.7},
        {1: 0.9, 4: 0.5, 6: 0.3, 15: 0.85, 17: 0.4},
    ),
    "surprise": (
        {1: 0.95, 2: 0.95, 5: 0.5, 25: 0.7, 26: 0.95},
        {1: 0.85, 2: 0.9, 5: 0.6, 25: 0.6, 26: 0.65},
    ),
    "neutral": ({},),
    "contempt": ({12: 0.8, 24: 0.35},),
}
"""Variants of each expression: typical intensities in [0, 1] by AU. Contempt occurs only in CK+."""

_ROW = {unit: row for row, unit in enumerate(ACTION_UNITS)}


@dataclass(frozen=True)
class Actions:
    """The intensity of each AU.

    Attributes:
        intensities: float64 in [0, 1], one row per entry of ``ACTION_UNITS``; columns: left and right in the picture.
    """

    intensities: NDArray[np.float64]

    @classmethod
    def of(cls, units: Mapping[int, float]) -> "Actions":
        """Return actions with the same intensities on both sides; AUs that are not named have intensity 0."""
        values = np.zeros((len(ACTION_UNITS), 2))
        for unit, intensity in units.items():
            values[_ROW[unit]] = intensity
        return cls(values)

    def both(self, unit: int) -> float:
        """Return the mean intensity of the two sides."""
        return float(self.intensities[_ROW[unit]].mean())

    def on(self, unit: int, side: int) -> float:
        """Return the intensity on one side: -1 left in the picture, +1 right."""
        return float(self.intensities[_ROW[unit], (side + 1) // 2])

    def towards(self, peak: "Actions", share: float) -> "Actions":
        """Interpolate between this face (``share`` 0) and ``peak`` (``share`` 1)."""
        return Actions(self.intensities + share * (peak.intensities - self.intensities))


@dataclass(frozen=True)
class Acting:
    """How the people of a set act.

    Attributes:
        strength: mean strength of expressions; 1: that of the prototypes.
        spread: standard deviation of the strength between pictures.
        weak: share of a prototype's AUs that are weak.
        stray: maximum intensity of AUs that do not belong to the expression.
    """

    strength: float
    spread: float
    weak: float
    stray: float


def sample_peak(expression: str, acting: Acting, rng: np.random.Generator) -> Actions:
    """Draw one person's version of an expression at its peak."""
    variants = PROTOTYPES[expression]
    typical = Actions.of(variants[int(rng.integers(len(variants)))]).intensities
    strength = float(np.clip(rng.normal(acting.strength, acting.spread), 0.3, 1.1))
    shape = (len(ACTION_UNITS), 1)
    own = rng.uniform(0.75, 1.2, shape)
    own *= np.where(rng.random(shape) < acting.weak, rng.uniform(0.0, 0.5, shape), 1.0)
    values = typical * strength * own * rng.normal(1.0, 0.07, (len(ACTION_UNITS), 2))
    if expression == "contempt":
        values[:, int(rng.integers(2))] *= 0.1
    return Actions(np.clip(np.maximum(values, _stray(acting, rng)), 0.0, 1.0))


def sample_rest(peak: Actions, acting: Acting, rng: np.random.Generator) -> Actions:
    """Draw the neutral face at the beginning of a sequence: no AU is stronger than at ``peak``."""
    return Actions(np.minimum(_stray(acting, rng), peak.intensities))


def _stray(acting: Acting, rng: np.random.Generator) -> NDArray[np.float64]:
    """Draw small actions that belong to no expression: on average two of the seventeen AUs."""
    shape = (len(ACTION_UNITS), 1)
    return np.where(rng.random(shape) < 2 / len(ACTION_UNITS), rng.uniform(0.0, acting.stray, shape), 0.0) * np.ones(2)
