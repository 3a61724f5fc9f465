"""Whatever stands in a set's lists ends in pictures, in unreadable ones, or in one message."""

from pathlib import Path

import pytest

from tests.datasets import hostile


@pytest.mark.parametrize("name", hostile.SETS)
def test_damaged_lists_end_in_pictures_or_in_a_message(name: str, tmp_path: Path) -> None:
    assert {"message"} <= set(hostile.outcomes(name, tmp_path, 60)) <= {"message", "pictures", "unreadable"}
