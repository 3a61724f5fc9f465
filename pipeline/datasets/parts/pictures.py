"""Decoding of picture files: every readable picture becomes one RGB array, every other one an error with a reason."""

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
"""What a picture file's name ends in, in lower case."""

FORMATS = ("AVIF", "BMP", "DIB", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")
"""The decoders in use. The list is closed because some of Pillow's other decoders start external programs."""

SIGNATURES = (b"\xff\xd8\xff", b"\x89PNG\r\n", b"GIF87a", b"GIF89a", b"II*\x00", b"MM\x00*")
"""How JPEG, PNG, GIF and TIFF files begin, whatever their names end in."""

BRANDS = (b"avif", b"avis", b"heic", b"heix", b"mif1", b"msf1")
"""Bytes 8 to 11 of an ISO media file that is a picture; videos have others."""

OTHER_SUFFIXES = frozenset({".csv", ".json", ".mat", ".md", ".parquet", ".pts", ".txt", ".xml", ".yaml", ".zip"})
"""Endings of files that sets have beside their pictures by the thousand: these files are not opened."""

MAX_PIXELS = 89_478_485
"""Width × height above which a file is refused unread: a few bytes can unpack to more than the memory holds."""


def is_picture(path: Path) -> bool:
    """Whether a file is a picture, by its name or, where that says nothing, by how it begins.

    Hidden files (also the ``._`` files that macOS leaves) are not.
    """
    if path.name.startswith("."):
        return False
    return path.suffix.lower() in SUFFIXES or (path.suffix.lower() not in OTHER_SUFFIXES and _has_signature(path))


def _has_signature(path: Path) -> bool:
    if not path.is_file():  # a pipe would be waited for without end
        return False
    try:
        with path.open("rb") as file:
            start = file.read(12)
    except OSError:
        return False  # its name does not say that it is a picture, so none is missed
    if start[:4] == b"RIFF":
        return start[8:12] == b"WEBP"
    return start.startswith(SIGNATURES) or (start[4:8] == b"ftyp" and start[8:12] in BRANDS)


def decode(picture: Path | bytes, key: str) -> NDArray[np.uint8]:
    """Decode a picture to RGB.

    Grey is repeated to three channels, 16-bit samples are scaled to 8, transparency is laid over white, the EXIF
    orientation is applied, and of several frames or pages the first is taken.

    Args:
        picture: a file, or its content.
        key: what errors call the picture.

    Returns:
        uint8 H×W×3 RGB.

    Raises:
        UnreadableImageError: the file is missing, empty, cut short, no picture, or larger than ``MAX_PIXELS``; the
            message is ``key`` and the reason.
        RefusedImageError: the same where the system is the reason, not the file.
    """
    try:
        if isinstance(picture, Path) and picture.exists() and not picture.is_file():
            raise UnreadableImageError(f"{key}: not a regular file")  # a pipe would be waited for without end
        with picture.open("rb") if isinstance(picture, Path) else BytesIO(picture) as file, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's warnings name no file; the error below gives the reason
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
        # KeyError, …); nothing but Pillow runs above, so each of them says that this file cannot be decoded.
        kind = RefusedImageError if _is_refusal(error) else UnreadableImageError
        reason = " ".join(str(error).split())  # libheif's ends in empty lines
        raise kind(f"{key}: {reason or type(error).__name__}") from error


def rgb_array(picture: Image.Image) -> NDArray[np.uint8]:
    """A picture that Pillow has opened, as ``decode`` gives it: upright, uint8 H×W×3 RGB."""
    return np.asarray(_to_rgb(_upright(picture)), dtype=np.uint8)


def _is_refusal(error: Exception) -> bool:
    """Whether the system is the reason, and not the file: Pillow's own OSErrors have no number."""
    number = error.errno if isinstance(error, OSError) else None
    # A damaged file sends Pillow to places before its beginning, which the system calls invalid.
    return number not in (None, errno.EINVAL, errno.EOVERFLOW) or isinstance(error, MemoryError)


def decoders() -> tuple[str, ...]:
    """The decoders that are installed: HEIF's comes with a package of its own."""
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
    """The picture turned as its Exif data say; where these are damaged, as it is."""
    picture.load()  # faults of the pixels are raised here
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
