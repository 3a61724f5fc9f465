"""Drawing shapes given in face units on a canvas in pixels."""

from contextlib import AbstractContextManager

from pipeline.standins.canvas import Canvas, Points, ribbon
from pipeline.standins.geometry import Pose
from pipeline.standins.identity import Colour


class Pen:
    """Draws on a canvas, with one pose of the head.

    All shapes are in face units. ``depth`` is a shape's distance in front of the head's axis; without it, the shape
    lies on the front of the face.
    """

    def __init__(self, canvas: Canvas, pose: Pose, ink: float) -> None:
        """Create a pen.

        Args:
            canvas: the canvas to draw on.
            pose: pose of the head, in the canvas' pixels.
            ink: factor on the strength of lines.
        """
        self._canvas = canvas
        self._pose = pose
        self._ink = ink

    def fill(self, shape: Points, colour: Colour, depth: float | None = None) -> None:
        """Draw an opaque shape with a hard edge."""
        self._canvas.paint(self._pose.project(shape, depth), colour)

    def tint(
        self, shape: Points, colour: Colour, opacity: float, soft: float = 0.0, depth: float | None = None
    ) -> None:
        """Draw a translucent shape; ``soft`` is the standard deviation of its edge, in face units."""
        self._canvas.paint(self._pose.project(shape, depth), colour, min(opacity, 0.99), soft * self._pose.unit)

    def line(
        self,
        line: Points,
        colour: Colour,
        width: float,
        opacity: float,
        soft: float = 0.4,
        depth: float | None = None,
        ends: float = 0.25,
    ) -> None:
        """Draw a stroke, stronger or weaker according to the pen's ink.

        Args:
            line: the centre line.
            colour: RGB.
            width: width in face units.
            opacity: 0 to 1.
            soft: standard deviation of the edge, in face units.
            depth: see the class.
            ends: width at both ends, as a share of ``width``.
        """
        opacity = min(opacity * self._ink, 0.99)
        if opacity > 0.02:
            self.tint(ribbon(line, width * (0.6 + 0.4 * self._ink), ends), colour, opacity, soft, depth)

    def within(self, shape: Points) -> AbstractContextManager[None]:
        """Clip everything that is drawn in this context to a shape."""
        return self._canvas.within(self._pose.project(shape))


def shade(colour: Colour, factor: float) -> Colour:
    """Return a darker (factor < 1) or lighter (> 1) colour."""
    red, green, blue = (min(255, round(c * factor)) for c in colour)
    return red, green, blue
