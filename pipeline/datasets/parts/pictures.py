"""Decoding of picture files: a readable picture becomes an RGB array, any other file an error with a reason."""

import errno
import warnings
from functools import cache
from io import BytesIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from pipeline.errors import RefusedImageError, UnreadableImageError

JPEG = frozenset({".jfif", ".jif", ".jpe", ".jpeg", ".jpg"})
HEIF = frozenset({".heic", ".heif", ".hif"})
SUFFIXES = JPEG | HEIF | {".avif", ".bmp", ".dib", ".gif", ".pgm", ".png", ".pnm", ".ppm", ".tif", ".tiff", ".webp"}
"""Suffixes of picture files, in lower case."""

FORMATS = ("AVIF", "BMP", "DIB", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")
"""The decoders to use. The list is closed because some of Pillow's other decoders start external programs."""

SIGNATURES = (b"\xff\xd8\xff", b"\x89PNG\r\n", b"GIF87a", b"GIF89a", b"II*\x00", b"MM\x00*")
"""First bytes of JPEG, PNG, GIF and TIFF files, which may have any suffix."""

BRANDS = (b"avif", b"avis", b"heic", b"heix", b"mif1", b"msf1")
"""Bytes 8 to 11 of ISO media files that are pictures; videos have other values."""

OTHER_SUFFIXES = frozenset({".csv", ".json", ".mat", ".md", ".parquet", ".pts", ".txt", ".xml", ".yaml", ".zip"})
"""Suffixes of other files that lie beside pictures by the thousand. They are not opened to look for a signature."""

MAX_PIXELS = 89_478_485
"""Maximum width × height. Larger files are not decoded: a few bytes can decode to more than fits in memory."""


def is_picture(path: Path) -> bool:
    """Return whether a file is a picture, by its suffix or, if that does not decide, by its first bytes.

    Hidden files are not pictures (such as the ``._`` files of macOS).
    """
    if path.name.startswith("."):
        return False
    return path.suffix.lower() in SUFFIXES or (path.suffix.lower() not in OTHER_SUFFIXES and _has_signature(path))


def _has_signature(path: Path) -> bool:
    if not path.is_file():  # opening a pipe would block forever
        return False
    try:
        with path.open("rb") as file:
            start = file.read(12)
    except OSError:
        return False  # its suffix is not a picture's either, so no picture is missed
    if start[:4] == b"RIFF":
        return start[8:12] == b"WEBP"
    return start.startswith(SIGNATURES) or (start[4:8] == b"ftyp" and start[8:12] in BRANDS)


def decode(picture: Path | bytes, key: str) -> NDArray[np.uint8]:
    """Decode a picture to RGB.

    Grey pictures get three equal channels. 16-bit values are scaled to 8 bits. Transparent pictures get a white
    background. The EXIF orientation is applied. Of several frames or pages the first is decoded.

    Args:
        picture: a file, or its content.
        key: name of the picture in errors.

    Returns:
        uint8 H×W×3 RGB.

    Raises:
        UnreadableImageError: the file is missing, empty, cut short, not a picture, or larger than ``MAX_PIXELS``; the
            message is ``key`` and the reason.
        RefusedImageError: it cannot be read because of the system, not because of its content.
    """
    try:
        if isinstance(picture, Path) and picture.exists() and not picture.is_file():
            raise UnreadableImageError(f"{key}: not a regular file")  # opening a pipe would block forever
        with picture.open("rb") if isinstance(picture, Path) else BytesIO(picture) as file, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's warnings do not name the file; the errors below do
            if not file.read(1):
                raise UnreadableImageError(f"{key}: the file is empty")
            file.seek(0)
            with Image.open(file, formats=decoders()) as opened:
                if opened.width * opened.height > MAX_PIXELS:
                    raise UnreadableImageError(f"{key}: {opened.width}×{opened.height} pixels are too many")
                return rgb_array(opened)
    except UnreadableImageError:
        raise
    except FileNotFoundError:
        raise RefusedImageError(f"{key}: no such file") from None
    except UnidentifiedImageError:
        raise UnreadableImageError(f"{key}: {_unidentified(picture)}") from None
    except Image.DecompressionBombError:
        raise UnreadableImageError(f"{key}: too many pixels (more than {2 * MAX_PIXELS})") from None
    except Exception as error:
        # On damaged data Pillow's decoders raise nearly every built-in exception (OSError, SyntaxError, struct.error,
        # KeyError, …). Only Pillow runs above, so each exception means that this file cannot be decoded.
        kind = RefusedImageError if _is_refusal(error) else UnreadableImageError
        reason = " ".join(str(error).split())  # libheif's messages end in empty lines
        raise kind(f"{key}: {reason or type(error).__name__}") from error


def rgb_array(picture: Image.Image) -> NDArray[np.uint8]:
    """Convert a picture opened by Pillow to what ``decode`` returns: upright, uint8 H×W×3 RGB."""
    return np.asarray(_to_rgb(_upright(picture)), dtype=np.uint8)


def _is_refusal(error: Exception) -> bool:
    """Return whether the system, not the file, is the reason: OSErrors that Pillow raises have no number."""
    number = error.errno if isinstance(error, OSError) else None
    # In a damaged file Pillow may seek before the beginning, which the system reports as EINVAL.
    return number not in (None, errno.EINVAL, errno.EOVERFLOW) or isinstance(error, MemoryError)


def decoders() -> tuple[str, ...]:
    """Return the installed decoders; the one for HEIF comes in a separate package."""
    return (*FORMATS, "HEIF") if _reads_heif() else FORMATS


@cache
def _reads_heif() -> bool:
    try:
        import pillow_heif
    except ImportError:
        return False
    pillow_heif.register_heif_opener()
    return True


def _unidentified(picture: Path | bytes) -> str:
    if isinstance(picture, Path) and picture.suffix.lower() in HEIF and not _reads_heif():
        return "a HEIC picture, which needs the package pillow-heif: pip install 'pocan[heic]'"
    return f"not a picture in a known format ({', '.join(decoders())})"


def _upright(picture: Image.Image) -> Image.Image:
    """Apply the EXIF orientation; if the EXIF data are damaged, return the picture unchanged."""
    picture.load()  # errors in the pixels are raised here
    try:
        return ImageOps.exif_transpose(picture)
    except Exception:  # as with the pixels, nearly every built-in exception
        return picture


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
