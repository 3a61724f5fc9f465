"""Picture files of every format, damaged on purpose; ``python -m tests.faces.hostile 200`` counts what becomes of them.

So many files a format, each time the same: whole ones of every mode and kind, then as many that are cut short, have
flipped bits, zeroed stretches, other headers, or another ending than their content.
"""

import io
import json
import struct
import sys
import zlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from PIL import Image
from typer.testing import CliRunner

from pipeline.data.crops import CropStore, read_description
from pipeline.datasets.parts.pictures import decoders
from pocan.cli import app
from tests.faces.scenes import halved, photograph

MODES = {
    "AVIF": ("RGB", "RGBA", "L"),
    "BMP": ("RGB", "L", "P", "1", "RGBA"),
    "DIB": ("RGB", "L", "P"),
    "GIF": ("RGB", "P", "L", "1"),
    "HEIF": ("RGB", "RGBA", "L"),
    "JPEG": ("RGB", "L", "CMYK", "YCbCr"),
    "PNG": ("RGB", "RGBA", "L", "LA", "P", "1", "I;16"),
    "PPM": ("RGB", "L", "1", "I;16", "F"),
    "TIFF": ("RGB", "RGBA", "L", "P", "1", "CMYK", "I;16", "I", "F", "LAB", "YCbCr"),
    "WEBP": ("RGB", "RGBA", "L"),
}
"""What each format can hold."""

ENDINGS = {"HEIF": "heic", "JPEG": "jpg", "TIFF": "tif"}
ANIMATED = {"GIF", "PNG", "TIFF", "WEBP", "AVIF"}
BROKEN_EXIF = {"junk": b"Exif\0\0junk", "cut": b"Exif\0\0II*\0\x08\0\0\0\xff\xff", "empty": b"Exif\0\0"}
HEADER = 64
"""Bytes at a file's beginning that are damaged more often than the others."""


def converted(mode: str, size: tuple[int, int] | None = None) -> Image.Image:
    """A face in a mode of Pillow's."""
    picture = Image.fromarray(halved(photograph()))
    if size:
        picture = picture.resize(size)
    if mode == "I;16":
        return Image.fromarray(np.asarray(picture.convert("L")).astype(np.uint16) * 257)
    if mode == "LAB":
        return Image.frombytes("LAB", picture.size, picture.tobytes())
    return picture.convert(mode)


def encoded(picture: Image.Image, form: str, **options: Any) -> bytes:
    """``picture`` as a file's content."""
    to = io.BytesIO()
    picture.save(to, form, **options)
    return to.getvalue()


def whole(form: str) -> Iterator[tuple[str, bytes]]:
    """Pictures that any reader should take: every mode, one pixel, a line, animated, with Exif of all kinds."""
    for mode in MODES[form]:
        yield f"mode-{mode.replace(';', '')}", encoded(converted(mode), form)
    for size in ((1, 1), (1, 300), (300, 1), (3, 5)):
        yield f"size-{size[0]}x{size[1]}", encoded(converted("RGB", size), form)
    if form in ANIMATED:
        frames = [converted("RGB").rotate(90 * turn) for turn in (1, 2)]
        yield "animated", encoded(converted("RGB"), form, save_all=True, append_images=frames)
    if form in ("JPEG", "PNG", "WEBP", "TIFF", "AVIF", "HEIF"):
        for orientation in (0, 3, 6, 9, 65535):
            exif = Image.Exif()
            exif[0x0112] = orientation
            yield f"exif-{orientation}", encoded(converted("RGB"), form, exif=exif.tobytes())
    if form in ("JPEG", "PNG", "WEBP"):
        for name, junk in (
            ("junk", b"Exif\0\0junk"),
            ("cut", b"Exif\0\0II*\0\x08\0\0\0\xff\xff"),
            ("empty", b"Exif\0\0"),
        ):
            yield f"exif-{name}", encoded(converted("RGB"), form, exif=junk)


def bombs(form: str) -> Iterator[tuple[str, bytes]]:
    """Small files that claim, or unpack to, more than the memory holds."""
    if form == "PNG":
        for side in (9_000, 20_000, 2**31 - 1):
            yield f"bomb-{side}", png_of(side, side)
        body = zlib.compress(bytes(50_000_000))
        yield "bomb-text", png_of(9, 9, (b"zTXt", b"a\0\0" + body), (b"iCCP", b"a\0\0" + body))
    elif form == "GIF":
        yield (
            "bomb-screen",
            b"GIF89a" + struct.pack("<HHBBB", 65535, 65535, 0, 0, 0) + encoded(converted("P"), form)[13:],
        )
    elif form == "PPM":
        yield "bomb-claim", b"P6 99999 99999 255\n" + bytes(100)
        yield "bomb-digits", b"P6 " + b"9" * 100_000 + b" 1 255\n"
    elif form in ("BMP", "DIB"):
        content = bytearray(encoded(converted("RGB"), form))
        start = 18 if form == "BMP" else 4
        content[start : start + 8] = struct.pack("<ii", 2**31 - 1, -(2**31))
        yield "bomb-claim", bytes(content)


def png_of(width: int, height: int, *more: tuple[bytes, bytes]) -> bytes:
    """A PNG file that claims a size, with no pixels and other chunks."""
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    chunks = [(b"IHDR", header), *more, (b"IDAT", zlib.compress(b"")), (b"IEND", b"")]
    framed = (
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)) for kind, body in chunks
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(framed)


def damaged(content: bytes, chance: np.random.Generator) -> tuple[str, bytes]:
    """``content`` after one of the accidents of files, drawn by ``chance``."""
    data = bytearray(content)
    reach = min(HEADER, len(data)) if chance.random() < 0.5 else len(data)
    place = int(chance.integers(reach))
    kind = ("cut", "flipped", "zeroed", "random", "doubled", "numbers")[chance.integers(6)]
    if kind == "cut":
        del data[place:]
    elif kind == "flipped":
        for at in chance.integers(reach, size=int(chance.integers(1, 9))):
            data[at] ^= 1 << int(chance.integers(8))
    elif kind == "zeroed":
        end = min(len(data), place + int(chance.integers(1, 200)))
        data[place:end] = bytes(end - place)
    elif kind == "random":
        data[place : place + 16] = chance.bytes(16)
    elif kind == "doubled":
        data[place:place] = data[: len(data) // 2]
    else:
        data[place : place + 4] = struct.pack(">I", int(chance.choice([0, 1, 2**15, 2**31 - 1, 2**32 - 1])))
    return kind, bytes(data)


def files(form: str, count: int) -> Iterator[tuple[str, bytes]]:
    """Names and contents of ``count`` files of a format; the same for the same arguments."""
    ending = ENDINGS.get(form, form.lower())
    sound = list(whole(form))
    made = [(f"{name}.{ending}", content) for name, content in (*sound, *bombs(form))]
    made += [(f"as-{other}.{other}", sound[0][1]) for other in ("jpg", "png", "gif", "webp", "tif", "bmp")]
    made += [(f"none.{ending}", b""), (f"zeros.{ending}", bytes(4096)), (f"text.{ending}", b"<html>404</html>")]
    chance = np.random.Generator(np.random.PCG64(sum(form.encode())))
    chance.shuffle(made)
    made = made[: count // 2]
    while len(made) < count:
        kind, content = damaged(sound[int(chance.integers(len(sound)))][1], chance)
        made.append((f"{kind}-{len(made)}.{ending}", content))
    yield from ((f"{index:03d}-{name}", content) for index, (name, content) in enumerate(made))


def write(folder: Path, form: str, count: int) -> list[str]:
    """Put the files of a format into ``folder``; returns their names."""
    folder.mkdir(parents=True)
    names = []
    for name, content in files(form, count):
        (folder / name).write_bytes(content)
        names.append(name)
    return names


def outcome(album: Path, out: Path, names: list[str]) -> dict[str, str]:
    """What ``pocan faces`` makes of each file: the method of its crop, or the reason why there is none."""
    result = CliRunner().invoke(app, ["faces", str(album), "--out", str(out), "--processes", "1"])
    assert result.exit_code == 0, result.output[-2000:] + str(result.exception)
    manifest = CropStore.open(out / "crops").manifest
    crops = dict(zip(manifest["key"], manifest["method"], strict=True))
    reasons: dict[str, str] = read_description(out / "crops")["unreadable"]
    assert not crops.keys() & reasons.keys()
    assert {*crops, *reasons} == set(names), "a file that is mentioned nowhere"
    return crops | reasons


def main(count: int) -> None:
    """``count`` files a format through ``pocan faces``: counts by format, and the reasons."""
    told: Counter[str] = Counter()
    with TemporaryDirectory() as folder:
        for form in decoders():
            album = Path(folder, form)
            ends = outcome(album, Path(folder, f"{form}-out"), write(album, form, count))
            counts = Counter(end if end in ("mtcnn", "haar", "whole") else "reason" for end in ends.values())
            told.update(end.partition(": ")[2] for end in ends.values() if ": " in end)
            print(f"{form}: {len(ends)} files: {json.dumps(dict(sorted(counts.items())))}", flush=True)
    for reason, times in told.most_common():
        print(f"{times:5d} {reason}")


if __name__ == "__main__":
    main(int(sys.argv[1]))
