"""Records dlib_reference.json: what dlib itself computes with its face recognition network.

Needs the package dlib (or dlib-bin) and the extra ``dlib``. Run from the project's root:

    python -m tests.data.record_dlib_reference
"""

import json
from pathlib import Path

import dlib
import numpy as np
from PIL import Image

from pipeline.backbones.dlib import PACKAGE
from pipeline.backbones.parts.dlib_file import installed

HERE = Path(__file__).parent
PICTURES = ("astronaut.png", "chelsea.png", "drawn.png")
SIZE = 150


def main() -> None:
    """The 128-d descriptor of the middle of each picture, at the size that dlib's network is made for."""
    network = dlib.face_recognition_model_v1(str(installed(PACKAGE)))
    descriptors = {}
    for name in PICTURES:
        picture = np.asarray(Image.open(HERE / name).convert("RGB"))
        top, left = (picture.shape[0] - SIZE) // 2, (picture.shape[1] - SIZE) // 2
        chip = np.ascontiguousarray(picture[top : top + SIZE, left : left + SIZE])
        descriptors[name] = [round(float(value), 6) for value in network.compute_face_descriptor(chip)]
    record = {"dlib": dlib.__version__, "size": SIZE, "descriptors": descriptors}
    (HERE / "dlib_reference.json").write_text(json.dumps(record) + "\n")


if __name__ == "__main__":
    main()
