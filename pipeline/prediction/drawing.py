"""Predictions drawn onto pictures: a box, the expression over a bar of its probability, all seven beside it."""

from collections.abc import Sequence

import numpy as np
from PIL import Image as Pillow
from PIL import ImageDraw, ImageFont

from pipeline.faces.crop import Box, Image
from pipeline.labels import EXPRESSIONS
from pipeline.prediction.predictor import Prediction

COLOURS = dict(
    zip(
        EXPRESSIONS,
        ("#d55e00", "#009e73", "#cc79a7", "#f0e442", "#56b4e9", "#e69f00", "#c8c8c8"),
        strict=True,
    )
)
"""Of Okabe and Ito (2008): told apart by people who see few colours."""

PLATE, TRACK, TEXT = "#141414", "#505050", "#ffffff"
"""Colours behind text, behind a bar, and of text."""

SMALLEST, LARGEST = 11, 44
"""Height of text in pixels."""


def draw_faces(image: Image, faces: Sequence[Prediction], prefixes: Sequence[str], drawn: bool = False) -> Image:
    """A copy of a picture with its faces drawn.

    Args:
        image: uint8 H×W×3 RGB; it is not changed.
        faces: what is drawn.
        prefixes: for each face what stands before its expression, or "".
        drawn: whether the model has learned from drawn faces; then every face has the mark, a lozenge.

    Returns:
        uint8 H×W×3 RGB.
    """
    canvas = Pillow.fromarray(image)
    pen = ImageDraw.Draw(canvas)
    taken = [face.face.box for face in faces]
    for face, prefix in zip(faces, prefixes, strict=True):
        _outline(pen, face, _size(pen, face))
        taken.append(_label(pen, face, prefix, _size(pen, face), drawn))
    for face in faces:
        free = _free_place(face.face.box, _size(pen, face), pen.im.size, taken)
        if free is not None:
            _bars(pen, face, free, _size(pen, face))
            taken.append(free)
    return np.asarray(canvas, dtype=np.uint8)


def _size(pen: ImageDraw.ImageDraw, found: Prediction) -> int:
    """Height of a face's text: readable in the picture as a whole, larger on a large face."""
    left, _, right, _ = found.face.box
    return int(np.clip(max(min(pen.im.size) / 40, (right - left) / 10), SMALLEST, LARGEST))


def _outline(pen: ImageDraw.ImageDraw, found: Prediction, size: int) -> None:
    left, top, right, bottom = found.face.box
    line = max(2, size // 6)
    pen.rectangle((left - 1, top - 1, right + 1, bottom + 1), outline=PLATE, width=line + 2)
    pen.rectangle((left, top, right, bottom), outline=COLOURS[found.expression], width=line)


def _label(pen: ImageDraw.ImageDraw, found: Prediction, prefix: str, size: int, drawn: bool) -> Box:
    """Write the expression above the box, over a bar as long as it is probable; at the picture's upper edge within it.

    Returns:
        What it covers.
    """
    font, space = ImageFont.load_default(size), size // 3
    text = f"{prefix}{found.expression} {found.confidence:.0%}"
    left, top, right, _ = found.face.box
    written = pen.textlength(text, font)
    wide = max(right - left, written + 2 * space + (size if drawn else 0))
    high = size + 4 * space
    x = float(np.clip(left, 0, max(0.0, pen.im.size[0] - wide)))
    y = max(0.0, top - high)
    pen.rectangle((x, y, x + wide, y + high), fill=PLATE)
    pen.text((x + space, y + space // 2), text, fill=TEXT, font=font)
    if drawn:
        _lozenge(pen, x + 2 * space + written, y + size // 2 + space, size)
    full = wide - 2 * space
    _bar(pen, (x + space, y + high - 2 * space, full, max(2, space)), found.confidence, found.expression)
    return x, y, x + wide, y + high


def _lozenge(pen: ImageDraw.ImageDraw, left: float, middle: float, size: int) -> None:
    """Draw DRAWN_MARK, which the font lacks, beside text of this height."""
    wide, high = size * 0.55, size * 0.45
    corners = [
        (left, middle),
        (left + wide / 2, middle - high),
        (left + wide, middle),
        (left + wide / 2, middle + high),
    ]
    pen.polygon(corners, outline=TEXT, width=max(1, size // 10))


def _free_place(box: Box, size: int, picture: tuple[int, int], taken: Sequence[Box]) -> Box | None:
    """Where the seven bars fit beside a face: right or left of it, not over anything drawn; None where they do not."""
    wide, high = 13 * _small(size), len(EXPRESSIONS) * _row(size) + size
    left, top, right, _ = box
    top = min(max(0.0, top), picture[1] - high)
    gap = size / 2
    for x in (right + gap, left - gap - wide):
        if top < 0 or x < 0 or x + wide > picture[0]:
            continue
        if not any(x < b[2] and b[0] < x + wide and top < b[3] and b[1] < top + high for b in taken):
            return x, top, x + wide, top + high
    return None


def _bars(pen: ImageDraw.ImageDraw, found: Prediction, place: Box, size: int) -> None:
    """Draw a bar for the probability of each expression."""
    small, space = _small(size), size // 3
    font = ImageFont.load_default(small)
    pen.rectangle(place, fill=PLATE)
    names = max(pen.textlength(name, font) for name in EXPRESSIONS)
    x, y = place[0] + space, place[1] + size / 2
    for name, probability in zip(EXPRESSIONS, found.probabilities, strict=True):
        pen.text((x, y), name, fill=TEXT, font=font)
        bar = (x + names + space, y + small * 0.3, place[2] - x - names - 2 * space, small * 0.6)
        _bar(pen, bar, float(probability), name)
        y += _row(size)


def _bar(pen: ImageDraw.ImageDraw, place: tuple[float, float, float, float], filled: float, expression: str) -> None:
    """Draw one bar, filled to a share of it; ``place`` is left, top, width and height."""
    left, top, wide, high = place
    pen.rectangle((left, top, left + wide, top + high), fill=TRACK)
    if filled * wide >= 1.0:
        pen.rectangle((left, top, left + filled * wide, top + high), fill=COLOURS[expression])


def _small(size: int) -> int:
    return max(SMALLEST, round(0.75 * size))


def _row(size: int) -> int:
    return round(1.35 * _small(size))
