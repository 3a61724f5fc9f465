"""Decoding of picture files: every readable picture becomes one RGB array, every other one an error with a reason."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from pipeline.errors import UnreadableImageError

SUFFIXES = frozenset({".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"})
"""What a picture file's name ends in, in lower case."""

FORMATS = ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")
"""The decoders in use. The list is closed because some of Pillow's other decoders start external programs."""

MAX_PIXELS = 89_478_485
"""Width × height above which a file is refused unread: a few bytes can unpack to more than the memory holds."""


def is_picture(path: Path) -> bool:
    """Whether the name is a picture's; hidden files (also the ``._`` files that macOS leaves) are not."""
    return path.suffix.lower() in SUFFIXES and not path.name.startswith(".")


def decode(path: Path, key: str) -> NDArray[np.uint8]:
    """Decode a picture to uint8 H×W×3 RGB.

    Grey is repeated to three channels, 16-bit samples are scaled to 8, transparency is laid over white, the EXIF
    orientation is applied, and of several frames or pages the first is taken.

    Raises:
        UnreadableImageError: the file is missing, empty, cut short, no picture, or larger than ``MAX_PIXELS``; the
            message is ``key`` and the reason.
    """
    if path.exists() and not path.is_file():
        raise UnreadableImageError(f"{key}: not a regular file")  # a pipe would be waited for without end
    try:
        with path.open("rb") as file:
            if not file.read(1):
                raise UnreadableImageError(f"{key}: the file is empty")
            file.seek(0)
            with Image.open(file, formats=FORMATS) as picture:
                if picture.width * picture.height > MAX_PIXELS:
                    raise UnreadableImageError(f"{key}: {picture.width}×{picture.height} pixels are too many")
                return np.asarray(_to_rgb(ImageOps.exif_transpose(picture)), dtype=np.uint8)
    except UnreadableImageError:
        raise
    except FileNotFoundError:
        raise UnreadableImageError(f"{key}: no such file") from None
    except UnidentifiedImageError:
        raise UnreadableImageError(f"{key}: not a picture in a known format ({', '.join(FORMATS)})") from None
    except Image.DecompressionBombError:
        raise UnreadableImageError(f"{key}: too many pixels (more than {2 * MAX_PIXELS})") from None
    except Exception as error:
        # On damaged data Pillow's decoders raise nearly every built-in exception (OSError, SyntaxError, struct.error,
        # KeyError, …); nothing but Pillow runs above, so each of them says that this file cannot be decoded.
        raise UnreadableImageError(f"{key}: {error or type(error).__name__}") from error


def _to_rgb(picture: Image.Image) -> Image.Image:
    if picture.mode.startswith("I"):
        return _from_sixteen_bits(picture)
    if picture.mode == "F":
        raise ValueError("floating-point samples have no known range; save the picture with 8 bits")
    if picture.has_transparency_data:
        opaque = Image.new("RGBA", picture.size, "white")
        opaque.alpha_composite(picture.convert("RGBA"))
        return opaque.convert("RGB")
    return picture.convert("RGB")


def _from_sixteen_bits(picture: Image.Image) -> Image.Image:
    """Scale 0–65535 to 0–255; Pillow's own conversion clips at 255 instead."""
    samples = np.asarray(picture).astype(np.int64)
    if samples.min() < 0 or samples.max() > 0xFFFF:
        raise ValueError("samples of more than 16 bits; save the picture with 8 bits")
    return Image.fromarray(((samples * 255 + 0x7FFF) // 0xFFFF).astype(np.uint8)).convert("RGB")
