"""Suites of trial targets: cameras, class shares and number of draws."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, ValidationError

from pipeline.config import yaml_text
from pipeline.config.section import PositiveInt, Section
from pipeline.data.prepared import Indices
from pipeline.errors import ParamsError
from pipeline.files.records import faults
from pipeline.labels import NUM_CLASSES
from pipeline.trials.camera import Camera

Shares = Literal["even", "dirichlet-1.0", "dirichlet-0.3", "one-missing"]
"""Class shares: equal; drawn from a Dirichlet distribution with this parameter (as in RLSbench, Garg et al., ICML
2023); equal except for one randomly drawn class that does not occur."""


class Suite(Section):
    """A file such as studies/trials/shifts.yaml.

    Attributes:
        cameras: cameras by name.
        shares: kinds of class shares.
        draws: number of targets for each camera and kind of shares.
        pictures: maximum number of pictures of a target.
    """

    cameras: Annotated[dict[str, Camera], Field(min_length=1)]
    shares: Annotated[list[Shares], Field(min_length=1)]
    draws: PositiveInt
    pictures: PositiveInt


@dataclass(frozen=True, eq=False)
class Case:
    """One trial target.

    Attributes:
        camera: name of the camera.
        shares: kind of class shares.
        draw: number of the draw, from 0.
        rows: indices into the pictures to draw from, ascending.
    """

    camera: str
    shares: Shares
    draw: int
    rows: Indices


def read_suite(path: Path) -> Suite:
    """Read a suite.

    Raises:
        ParamsError: the file is missing or invalid; the message names the key.
    """
    try:
        return Suite.model_validate_json(json.dumps(yaml_text.read(path)))  # where a list may be a tuple
    except ValidationError as error:
        raise ParamsError(f"{path}: {faults(error)[0]}") from None
    except TypeError as error:  # YAML has values that JSON lacks, such as dates
        raise ParamsError(f"{path}: {error}; write names and numbers") from None


def cases(suite: Suite, labels: NDArray[np.int64], seed: int) -> Iterator[Case]:
    """Draw the targets.

    Args:
        suite: the suite.
        labels: labels of the pictures to draw from; pictures with a label below 0 are never drawn.
        seed: seed; a draw depends only on it and on the target's position in the suite.

    Yields:
        The targets, ordered by camera, shares and draw.
    """
    counts = np.bincount(labels[labels >= 0], minlength=NUM_CLASSES)
    for at, camera in enumerate(suite.cameras):
        for kind, shares in enumerate(suite.shares):
            for draw in range(suite.draws):
                chance = np.random.default_rng([seed, at, kind, draw])
                wanted = _wanted(shares, counts, suite.pictures, chance)
                members = (np.flatnonzero(labels == label) for label in range(NUM_CLASSES))
                drawn = [chance.permutation(rows)[:count] for rows, count in zip(members, wanted, strict=True)]
                yield Case(camera, shares, draw, np.sort(np.concatenate(drawn)))


def _wanted(shares: Shares, counts: Indices, pictures: int, chance: np.random.Generator) -> Indices:
    """Return the number of pictures to draw of each class, k int64."""
    present = counts > 0
    if shares.startswith("dirichlet"):
        drawn = chance.dirichlet(np.full(NUM_CLASSES, float(shares.removeprefix("dirichlet-"))))
        return np.minimum(counts, np.round(drawn * pictures).astype(np.int64))
    if shares == "one-missing":
        present[chance.choice(np.flatnonzero(present))] = False
    # Equal shares: as many pictures of each class as of the rarest one.
    each = min(int(counts[present].min()), pictures // int(present.sum())) if present.any() else 0
    return np.where(present, each, 0)
