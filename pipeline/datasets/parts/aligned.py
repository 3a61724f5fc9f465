"""Sets that circulate both with faces that their own authors have aligned and with whole pictures."""

from pathlib import Path

from pipeline.datasets.parts.base import Dataset


class AlignedOrWhole(Dataset):
    """A set whose ``scan`` notes in ``_aligned`` which of the two it reads."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self._aligned: bool | None = None

    @property
    def aligned(self) -> bool:
        """Whether the aligned pictures are read; the set is listed where that is not known yet."""
        if self._aligned is None:
            self.samples()
        return bool(self._aligned)
