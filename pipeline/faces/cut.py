"""The crop of a face that was found, as the parameters of a run say."""

import numpy as np

from pipeline.config.pictures import FaceParams
from pipeline.faces.align import aligned
from pipeline.faces.crop import Image, crop
from pipeline.faces.finder import Face
from pipeline.faces.turns import turned


def cut(image: Image, face: Face, params: FaceParams) -> Image:
    """``face`` out of ``image`` (uint8 H×W×3 RGB), by ``align``, ``margin`` and ``upscale``: uint8 112×112×3."""
    if params.align == "similarity" and face.landmarks is not None:
        return aligned(image, np.array(face.landmarks).reshape(5, 2), params.margin, params.upscale)
    # Without landmarks there is nothing to align by: the manifest's method tells which crops these are.
    margin = params.margin if face.method in ("mtcnn", "haar") else 0.0
    return turned(crop(image, face.box, margin, params.upscale), face.turned)
