"""Agreement with the ``mtcnn`` package, recorded by tests/data/record_mtcnn_reference.py."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from pipeline.faces.mtcnn import MTCNN
from tests.faces.scenes import scenes

REFERENCE = Path(__file__).parents[1] / "data" / "mtcnn_reference.json"
RECORDS: list[dict[str, Any]] = json.loads(REFERENCE.read_text(encoding="utf-8"))["records"]


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: f"{record['scene']}, {record['thresholds']}")
def test_same_faces_as_the_package(record: dict[str, Any]) -> None:
    detector = MTCNN(
        record["min_face"], record["scale_factor"], tuple(record["thresholds"]), device=torch.device("cpu")
    )
    (found,) = detector.detect([scenes()[record["scene"]]])
    expected = record["faces"]
    assert len(found.boxes) == len(expected)
    # The limits are a pixel and 1e-3; what differs in fact is float32 rounding.
    for index, face in enumerate(expected):
        np.testing.assert_allclose(found.boxes[index], face["box"], atol=0.05)
        np.testing.assert_allclose(found.landmarks[index], face["landmarks"], atol=0.05)
        np.testing.assert_allclose(found.scores[index], face["score"], atol=1e-3)


def test_reference_has_faces_none_and_several() -> None:
    assert {len(record["faces"]) for record in RECORDS} >= {0, 1, 2}
