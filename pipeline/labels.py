"""What a picture is labelled with: one of the seven expressions, and whether it was photographed or drawn."""

from typing import Literal

EXPRESSIONS = ("anger", "disgust", "fear", "happiness", "sadness", "surprise", "neutral")
"""In the order that every array, matrix and table of this project uses."""

NUM_CLASSES = len(EXPRESSIONS)
(ANGER, DISGUST, FEAR, HAPPINESS, SADNESS, SURPRISE, NEUTRAL) = range(NUM_CLASSES)

Provenance = Literal["stand-in", "real"]
"""Drawn or photographed; what is measured on drawn pictures says so wherever it goes."""

STAND_IN_MARK = "STAND-IN.json"
"""Below a folder that holds this file pictures were drawn, not photographed."""

DRAWN_MARK = "◊"
"""Stands beside every number that was measured with drawn stand-ins as source, as target or as both, and beside what a
model says that has learned from them."""
