"""Pictures as requests carry them, for the tests of serving."""

import base64
import io

from PIL import Image

from tests.faces.scenes import Picture


def png(picture: Picture) -> bytes:
    """The bytes of a PNG file."""
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "PNG")
    return file.getvalue()


def in_base64(content: bytes) -> str:
    """As JSON carries bytes."""
    return base64.b64encode(content).decode()
