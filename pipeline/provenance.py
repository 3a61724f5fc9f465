"""Whether pictures were photographed or drawn: what is measured on drawn ones says so wherever it goes."""

from typing import Literal

Provenance = Literal["stand-in", "real"]

STAND_IN_MARK = "STAND-IN.json"
"""Below a folder that holds this file pictures were drawn, not photographed."""
