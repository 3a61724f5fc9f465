"""Drawing of predictions: a box, a label with the face's number and expression, and bars of all probabilities.

Boxes of uncertain predictions are dashed, and their expression has a question mark. Labels do not leave the picture or
cover each other; if there is no space for one, only the number is written, inside the face's box.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

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
"""The palette of Okabe and Ito (2008), distinguishable by colour-blind people."""

PLATE, TRACK, TEXT = "#141414", "#505050", "#ffffff"
"""Colours of the background of text, of the background of a bar, and of text."""

SMALLEST, LARGEST = 11, 44
"""Minimum and maximum height of text, in pixels."""

UNSURE = 0.5
"""Probability below which a prediction is drawn as uncertain: it is more likely wrong than right."""


def draw_faces(image: Image, faces: Sequence[Prediction], numbers: Sequence[int], drawn: bool = False) -> Image:
    """Draw faces on a copy of a picture.

    Args:
        image: uint8 H×W×3 RGB; not changed.
        faces: the predictions to draw.
        numbers: the number of each face, as in the rows.
        drawn: whether the model was trained on drawn faces; every label then has the mark, a lozenge.

    Returns:
        uint8 H×W×3 RGB.
    """
    canvas = Pillow.fromarray(image)
    pen = ImageDraw.Draw(canvas)
    boxes = [face.face.box for face in faces]
    for face in faces:
        _outline(pen, face, _size(pen, face))
    taken: list[Box] = []
    for place, (face, number) in enumerate(zip(faces, numbers, strict=True)):
        others = [*taken, *boxes[:place], *boxes[place + 1 :]]
        label = _Label(pen, face, number, _size(pen, face), drawn)
        taken += label.write(others, taken)
    for face in faces:
        free = _free_place(face.face.box, _size(pen, face), pen.im.size, [*boxes, *taken])
        if free is not None:
            _bars(pen, face, free, _size(pen, face))
            taken.append(free)
    return np.asarray(canvas, dtype=np.uint8)


def _size(pen: ImageDraw.ImageDraw, found: Prediction) -> int:
    """Return the height of a face's text, which grows with the picture and with the face."""
    left, _, right, _ = found.face.box
    return int(np.clip(max(min(pen.im.size) / 40, (right - left) / 10), SMALLEST, LARGEST))


def _outline(pen: ImageDraw.ImageDraw, found: Prediction, size: int) -> None:
    left, top, right, bottom = found.face.box
    line = max(2, size // 6)
    pen.rectangle((left - 1, top - 1, right + 1, bottom + 1), outline=PLATE, width=line + 2)
    if found.confidence >= UNSURE:
        pen.rectangle((left, top, right, bottom), outline=COLOURS[found.expression], width=line)
        return
    for dash in _dashes(found.face.box, line):
        pen.rectangle(dash, fill=COLOURS[found.expression])


def _dashes(box: Box, line: int) -> Iterator[Box]:
    """Yield the dashes of a box: four line widths long, with gaps of three."""
    left, top, right, bottom = box
    for x in np.arange(left, right - line, 7.0 * line):
        end = min(x + 4.0 * line, right)
        yield x, top, end, top + line - 1
        yield x, bottom - line + 1, end, bottom
    for y in np.arange(top, bottom - line, 7.0 * line):
        end = min(y + 4.0 * line, bottom)
        yield left, y, left + line - 1, end
        yield right - line + 1, y, right, end


@dataclass(frozen=True)
class _Label:
    """The label of a face.

    Attributes:
        pen: draws on the picture.
        found: the face.
        number: the face's number.
        size: height of the text, in pixels.
        drawn: whether the label has the mark.
    """

    pen: ImageDraw.ImageDraw
    found: Prediction
    number: int
    size: int
    drawn: bool

    def write(self, others: Sequence[Box], labels: Sequence[Box]) -> list[Box]:
        """Write number and expression next to the face; if there is no free space, only the number inside its box.

        Args:
            others: boxes of other faces and labels, which the full label must not cover.
            labels: boxes of labels, which the number must not cover.

        Returns:
            The covered box; empty if there is no space at all.
        """
        font, space = ImageFont.load_default(self.size), self.size // 3
        doubt = "?" if self.found.confidence < UNSURE else ""
        text = f"#{self.number} {self.found.expression}{doubt} {self.found.confidence:.0%}"
        left, _, right, _ = self.found.face.box
        written = self.pen.textlength(text, font)
        wide = max(right - left, written + 2 * space + (self.size if self.drawn else 0))
        if (place := self._free(wide, self.size + 4 * space, others)) is not None:
            self._whole(place, text, font, written)
            return [place]
        small = ImageFont.load_default(SMALLEST)
        text = f"#{self.number}"
        if (place := self._corner(self.pen.textlength(text, small) + 4, SMALLEST + 4, labels)) is None:
            return []
        self.pen.rectangle(place, fill=PLATE)
        self.pen.text((place[0] + 2, place[1] + 1), text, fill=TEXT, font=small)
        return [place]

    def _free(self, wide: float, high: float, others: Sequence[Box]) -> Box | None:
        """Return the first free box for the full label: above the face, below, beside or inside it."""
        left, top, right, bottom = self.found.face.box
        width, height = self.pen.im.size
        shifted = float(np.clip(left, 0, max(0.0, width - wide)))
        level = float(np.clip(top, 0, max(0.0, height - high)))
        for x, y in (
            (shifted, top - high),
            (right - wide, top - high),
            (shifted, bottom + 2),
            (right - wide, bottom + 2),
            (right + 3, level),
            (left - wide - 3, level),
            (shifted, max(0.0, top)),
            (shifted, min(bottom, float(height)) - high),
        ):
            place = x, y, x + wide, y + high
            if _within(place, self.pen.im.size) and not any(_meet(place, other) for other in others):
                return place
        return None

    def _corner(self, wide: float, high: float, labels: Sequence[Box]) -> Box | None:
        """Return the first corner of the face's box, within the picture, where the number covers no label."""
        left, top, right, bottom = self.found.face.box
        width, height = self.pen.im.size
        for x, y in ((left, top), (right - wide, top), (left, bottom - high), (right - wide, bottom - high)):
            x, y = float(np.clip(x, 0, max(0.0, width - wide))), float(np.clip(y, 0, max(0.0, height - high)))
            place = x, y, x + wide, y + high
            if _within(place, self.pen.im.size) and not any(_meet(place, label) for label in labels):
                return place
        return None

    def _whole(self, place: Box, text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, written: float) -> None:
        """Write the expression above a bar of its probability."""
        x, y, right, bottom = place
        space = self.size // 3
        self.pen.rectangle(place, fill=PLATE)
        self.pen.text((x + space, y + space // 2), text, fill=TEXT, font=font)
        if self.drawn:
            _lozenge(self.pen, x + 2 * space + written, y + self.size // 2 + space, self.size)
        bar = (x + space, bottom - 2 * space, right - x - 2 * space, max(2, space))
        _bar(self.pen, bar, self.found.confidence, self.found.expression)


def _meet(first: Box, second: Box) -> bool:
    """Return whether two boxes overlap."""
    return first[0] < second[2] and second[0] < first[2] and first[1] < second[3] and second[1] < first[3]


def _within(place: Box, picture: tuple[int, int]) -> bool:
    return place[0] >= 0 and place[1] >= 0 and place[2] <= picture[0] and place[3] <= picture[1]


def _lozenge(pen: ImageDraw.ImageDraw, left: float, middle: float, size: int) -> None:
    """Draw DRAWN_MARK, which the font does not contain, next to text of this height."""
    wide, high = size * 0.55, size * 0.45
    corners = [
        (left, middle),
        (left + wide / 2, middle - high),
        (left + wide, middle),
        (left + wide / 2, middle + high),
    ]
    pen.polygon(corners, outline=TEXT, width=max(1, size // 10))


def _free_place(box: Box, size: int, picture: tuple[int, int], taken: Sequence[Box]) -> Box | None:
    """Return a free box for the seven bars, right or left of the face; None if there is none."""
    wide, high = 13 * _small(size), len(EXPRESSIONS) * _row(size) + size
    left, top, right, _ = box
    top = min(max(0.0, top), picture[1] - high)
    gap = size / 2
    for x in (right + gap, left - gap - wide):
        place = x, top, x + wide, top + high
        if _within(place, picture) and not any(_meet(place, other) for other in taken):
            return place
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
    """Draw a bar, filled to the share ``filled``; ``place`` is left, top, width and height."""
    left, top, wide, high = place
    pen.rectangle((left, top, left + wide, top + high), fill=TRACK)
    if filled * wide >= 1.0:
        pen.rectangle((left, top, left + filled * wide, top + high), fill=COLOURS[expression])


def _small(size: int) -> int:
    return max(SMALLEST, round(0.75 * size))


def _row(size: int) -> int:
    return round(1.35 * _small(size))
