"""Predictions drawn onto pictures: a box, the face's number and expression over a bar, all seven bars beside it.

Frames of faces that the model is unsure of are dashed, and their expression has a question mark. No label leaves the
picture or covers another; where a crowd leaves no room for one, the number alone stands in the face's own box.
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
"""Of Okabe and Ito (2008): told apart by people who see few colours."""

PLATE, TRACK, TEXT = "#141414", "#505050", "#ffffff"
"""Colours behind text, behind a bar, and of text."""

SMALLEST, LARGEST = 11, 44
"""Height of text in pixels."""

UNSURE = 0.5
"""Probability below which a face is drawn as unsure: another expression is as likely, or more."""


def draw_faces(image: Image, faces: Sequence[Prediction], numbers: Sequence[int], drawn: bool = False) -> Image:
    """A copy of a picture with its faces drawn.

    Args:
        image: uint8 H×W×3 RGB; it is not changed.
        faces: what is drawn.
        numbers: what each face is called, as in the rows.
        drawn: whether the model has learned from drawn faces; then every face has the mark, a lozenge.

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
    """Height of a face's text: readable in the picture as a whole, larger on a large face."""
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
    """The dashes of a frame: each four lines long, with gaps of three."""
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
    """What is written beside a face.

    Attributes:
        pen: draws on the picture.
        found: the face.
        number: what it is called.
        size: height of the text in pixels.
        drawn: whether it has the mark.
    """

    pen: ImageDraw.ImageDraw
    found: Prediction
    number: int
    size: int
    drawn: bool

    def write(self, others: Sequence[Box], labels: Sequence[Box]) -> list[Box]:
        """Write number and expression where they hide nothing, else the number alone in the face's own box.

        Args:
            others: boxes of other faces, and what is written already: neither is covered by the whole label.
            labels: what is written already: it is covered by nothing.

        Returns:
            What it covers; empty where there is no room for anything.
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
        """The first place for the whole label: above the box, below it, beside it, else within it."""
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
        """The first corner of the box, moved into the picture, where the number covers nothing that is written."""
        left, top, right, bottom = self.found.face.box
        width, height = self.pen.im.size
        for x, y in ((left, top), (right - wide, top), (left, bottom - high), (right - wide, bottom - high)):
            x, y = float(np.clip(x, 0, max(0.0, width - wide))), float(np.clip(y, 0, max(0.0, height - high)))
            place = x, y, x + wide, y + high
            if _within(place, self.pen.im.size) and not any(_meet(place, label) for label in labels):
                return place
        return None

    def _whole(self, place: Box, text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, written: float) -> None:
        """Write the expression over a bar as long as it is probable."""
        x, y, right, bottom = place
        space = self.size // 3
        self.pen.rectangle(place, fill=PLATE)
        self.pen.text((x + space, y + space // 2), text, fill=TEXT, font=font)
        if self.drawn:
            _lozenge(self.pen, x + 2 * space + written, y + self.size // 2 + space, self.size)
        bar = (x + space, bottom - 2 * space, right - x - 2 * space, max(2, space))
        _bar(self.pen, bar, self.found.confidence, self.found.expression)


def _meet(first: Box, second: Box) -> bool:
    """Whether two rectangles share a pixel."""
    return first[0] < second[2] and second[0] < first[2] and first[1] < second[3] and second[1] < first[3]


def _within(place: Box, picture: tuple[int, int]) -> bool:
    return place[0] >= 0 and place[1] >= 0 and place[2] <= picture[0] and place[3] <= picture[1]


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
    """Draw one bar, filled to a share of it; ``place`` is left, top, width and height."""
    left, top, wide, high = place
    pen.rectangle((left, top, left + wide, top + high), fill=TRACK)
    if filled * wide >= 1.0:
        pen.rectangle((left, top, left + filled * wide, top + high), fill=COLOURS[expression])


def _small(size: int) -> int:
    return max(SMALLEST, round(0.75 * size))


def _row(size: int) -> int:
    return round(1.35 * _small(size))
