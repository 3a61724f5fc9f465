"""Where an adaptation leaves what it made."""

from dataclasses import dataclass
from pathlib import Path
from typing import Self

from pipeline.config import layout


@dataclass(frozen=True)
class Places:
    """model: a folder. outcome, epochs, validations, curve: files. checkpoint: where what was interrupted goes on."""

    model: Path
    outcome: Path
    epochs: Path
    validations: Path
    curve: Path
    checkpoint: Path

    @classmethod
    def of_target(cls, target: str) -> Self:
        """Those of the pipeline's adapt stage."""
        return cls(
            layout.adapted(target),
            layout.outcome(target),
            layout.epochs(target),
            layout.validations(target),
            layout.curve(f"adapt-{target}"),
            layout.checkpoint(f"adapt-{target}"),
        )

    @classmethod
    def below(cls, folder: Path, in_progress: Path) -> Self:
        """Model, validations and curve in ``folder``; in ``in_progress`` what only matters until all is done."""
        return cls(
            folder / "model",
            in_progress / "outcome.npz",
            in_progress / "epochs.parquet",
            folder / "validations.csv",
            folder / "curve.csv",
            in_progress / "adapt.pt",
        )
