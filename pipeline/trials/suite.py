"""The suite of trial targets: which cameras, which shares of the classes, how many draws."""

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
from pipeline.labels import NUM_CLASSES
from pipeline.trials.camera import Camera

Shares = Literal["even", "dirichlet-1.0", "dirichlet-0.3", "one-missing"]
"""Of the classes: all alike; drawn from a Dirichlet distribution with this parameter (as in RLSbench, Garg et al., ICML
2023); all alike but for one that does not occur, also drawn."""


class Suite(Section):
    """A file such as studies/trials/shifts.yaml.

    Attributes:
        cameras: by name.
        shares: of the classes.
        draws: how many targets of each camera and shares.
        pictures: of each target, at most.
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
        shares: of the classes.
        draw: from 0.
        rows: places among the pictures that it is drawn from, in ascending order.
    """

    camera: str
    shares: Shares
    draw: int
    rows: Indices


def read_suite(path: Path) -> Suite:
    """Read a suite.

    Raises:
        ParamsError: the file is missing or is no suite; the message names the key.
    """
    try:
        return Suite.model_validate_json(json.dumps(yaml_text.read(path)))  # where a list may be a tuple
    except ValidationError as error:
        first = error.errors()[0]
        raise ParamsError(f"{path}: {'.'.join(map(str, first['loc']))}: {first['msg']}") from None


def cases(suite: Suite, labels: NDArray[np.int64], seed: int) -> Iterator[Case]:
    """Draw the targets.

    Args:
        suite: what is drawn.
        labels: of the pictures to draw from; below 0: without a label, never drawn.
        seed: with the place in the suite it decides each draw alone.

    Yields:
        The targets, by camera, shares and draw.
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
    """How many pictures of each class are drawn, at most as many as there are: k int64."""
    present = counts > 0
    if shares.startswith("dirichlet"):
        drawn = chance.dirichlet(np.full(NUM_CLASSES, float(shares.removeprefix("dirichlet-"))))
        return np.minimum(counts, np.round(drawn * pictures).astype(np.int64))
    if shares == "one-missing":
        present[chance.choice(np.flatnonzero(present))] = False
    # All alike means as many of each as of the rarest class.
    each = min(int(counts[present].min()), pictures // int(present.sum())) if present.any() else 0
    return np.where(present, each, 0)
