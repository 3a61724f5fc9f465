"""Records what the ``mtcnn`` package itself finds on the scenes: tests/data/mtcnn_reference.json.

Needs the extra ``reference`` (it brings TensorFlow). Run from the project's root:

    python -m tests.data.record_mtcnn_reference
"""

import json
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

from mtcnn import MTCNN

from tests.faces.scenes import scenes

REFERENCE = Path(__file__).with_name("mtcnn_reference.json")


class Setting(NamedTuple):
    """What the search depends on, as in the section faces of params.yaml."""

    min_face: int
    scale_factor: float
    thresholds: tuple[float, float, float]


SETTINGS = (Setting(20, 0.709, (0.6, 0.7, 0.8)), Setting(20, 0.65, (0.5, 0.5, 0.3)))
"""The package's defaults, and a search that lets more candidates through, so that suppression has more to do."""


def main() -> None:
    """Write the reference: one record per scene and setting, floats unrounded as the package returns them."""
    detector = MTCNN()
    records = []
    for name, picture in scenes().items():
        for setting in SETTINGS:
            pnet, rnet, onet = setting.thresholds
            found = detector.detect_faces(
                picture,
                fit_to_image=True,
                box_format="xyxy",
                output_type="numpy",
                min_face_size=setting.min_face,
                scale_factor=setting.scale_factor,
                threshold_pnet=pnet,
                threshold_rnet=rnet,
                threshold_onet=onet,
            )
            # Columns: picture, x1, y1, x2, y2, score, five x, five y.
            faces = [
                {
                    "box": row[1:5].tolist(),
                    "score": float(row[5]),
                    "landmarks": row[6:].reshape(2, 5).T.tolist(),
                }
                for row in found
            ]
            records.append({"scene": name, **setting._asdict(), "faces": faces})
            print(f"{name}, {setting}: {len(faces)} faces")
    versions = {package: version(package) for package in ("mtcnn", "tensorflow")}
    REFERENCE.write_text(json.dumps({"recorded with": versions, "records": records}, indent=1) + "\n")


if __name__ == "__main__":
    main()
