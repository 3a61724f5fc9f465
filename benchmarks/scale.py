"""Estimate the cost of ten million faces or ten thousand hours of video from measured rates (docs/scale.md).

    python -m benchmarks.scale [--pictures 40]

Rates are CPU seconds (user and system) of one process with one thread, which other work on the machine affects little.
Pictures and video are drawn, 640×480. Networks are untrained, which does not affect their speed. The cost of an archive
is computed from these rates and sizes, not measured.
"""

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import cv2
import numpy as np
import psutil
import torch
from PIL import Image

from benchmarks.memory import peak
from benchmarks.predictors import untrained
from pipeline.config import load as params
from pipeline.config.learning import ModelParams
from pipeline.data.crops import CROP_SIZE
from pipeline.datasets import open_dataset
from pipeline.datasets.folder import UnlabelledFolder
from pipeline.datasets.parts.videos import VideoWriter, frame_numbers
from pipeline.faces.extract import extract
from pipeline.faces.joining import join_stores
from pipeline.faces.writer import CropBatch, CropWriter
from pipeline.networks.features import FeatureRequest
from pipeline.networks.network import PrototypeClassifier
from pipeline.prediction.inputs import list_inputs, sources
from pipeline.prediction.outputs import Destination
from pipeline.prediction.predict import predict
from pipeline.prediction.predictor import Predictor
from pipeline.reporting.markdown import markdown_table
from pipeline.shards import WHOLE, read_shards, write_shard
from pipeline.standins import draw

WIDTH, HEIGHT, RATE = 640, 480, 25
NAMES_A_FOLDER = 2000
FACES, HOURS = 10_000_000, 10_000
"""Sizes of the archives whose cost is computed."""

CPU = torch.device("cpu")
SETTINGS = params.load(Path(__file__).parents[1] / "params.yaml")


def main() -> None:
    """Measure and print rates and the resulting costs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=40)
    parser.add_argument("--peak-of", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    if options.peak_of:
        print(_peak_of(options.peak_of))
        return
    print(f"{_processor()}, PyTorch {torch.__version__}, one thread\n")
    with TemporaryDirectory() as folder:
        rates = _rates(Path(folder), options.pictures)
    print(markdown_table(["what", "measured"], [[name, f"{value:.4g}"] for name, value in rates.items()]))
    print(f"\nFrom these, {FACES:,} pictures with a face each, and {HOURS:,} hours of video, one frame a second:\n")
    print(markdown_table(["", "processor hours", "disk (GB)"], _archives(rates)))


def _rates(root: Path, count: int) -> dict[str, float]:
    """Return CPU milliseconds, or bytes, of each operation."""
    album, film = _album(root / "album", count), _film(root / "film.mp4", root / "album", 10 * count)
    predictor, crops, rows = untrained({"backbone": "resnet10"}, "cpu"), root / "store", root / "rows.csv"
    found = {
        "faces: ms a picture, from JPEG to crop": _more(lambda part: _extract(part, crops), album),
        "faces: bytes a crop in a store": _size(crops) / _count(crops),
        "predict: ms a picture, every face, ResNet-10": _more(lambda part: _predict(predictor, part, rows), album),
        "predict: faces a picture": _predict(predictor, album, rows) / count,
    }
    found["predict: bytes a row"] = rows.stat().st_size / max(1, len(rows.read_text().splitlines()) - 1)
    frames = 10 * count
    found["video: ms a frame that is passed over (MPEG-4)"] = (
        _milliseconds(lambda: sum(1 for _ in frame_numbers(film, 1, print))) / frames
    )
    for backbone in ("resnet10", "resnet50"):
        found[f"features: ms a view, {backbone}"] = _features(backbone)
    found["features: bytes a view and dimension"] = 4.0
    names = root / "names"
    listed = _names(names, 50)
    before = psutil.Process().memory_info().rss
    samples = UnlabelledFolder(names).samples()
    found["listing: bytes of memory a picture, faces"] = (psutil.Process().memory_info().rss - before) / listed
    del samples
    before = psutil.Process().memory_info().rss
    inputs = list_inputs([str(names)])
    found["listing: bytes of memory a picture, predict"] = (psutil.Process().memory_info().rss - before) / listed
    del inputs
    found["listing: ms a picture"] = _milliseconds(lambda: UnlabelledFolder(names).samples()) / listed
    return found | _joining(root) | _dvc(root)


def _milliseconds(work: Callable[[], object]) -> float:
    """Return the CPU time of this process."""
    start = time.process_time()
    work()
    return 1000 * (time.process_time() - start)


def _more(work: Callable[[Path], object], album: Path) -> float:
    """Return CPU milliseconds per picture, without the fixed cost of a run."""
    few, many = album / "0", album
    work(few)
    counts = [sum(1 for _ in folder.rglob("*.jpg")) for folder in (few, many)]
    times = [_milliseconds(lambda folder=folder: work(folder)) for folder in (few, many)]  # type: ignore[misc]
    return (times[1] - times[0]) / (counts[1] - counts[0])


def _album(folder: Path, count: int) -> Path:
    """Write JPEGs of drawn photographs, a quarter of them in a sub-folder."""
    draw("ckplus", folder.with_name("drawn"), seed=7, scale=0.5)
    dataset = open_dataset("ckplus", folder.with_name("drawn"))
    samples = dataset.samples()
    for index in range(count):
        path = folder / str(min(1, 4 * index // count)) / f"{index:05d}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        picture = dataset.read(samples[index * len(samples) // count % len(samples)])
        Image.fromarray(picture[:HEIGHT, :WIDTH]).save(path, quality=90)
    return folder


def _film(path: Path, album: Path, frames: int) -> Path:
    pictures = [np.asarray(Image.open(one)) for one in sorted(album.rglob("*.jpg"))[:20]]
    writer = VideoWriter(path, RATE, pictures[0].shape[1], pictures[0].shape[0])
    for index in range(frames):
        writer.write(np.roll(pictures[index // 10 % len(pictures)], index % 10, axis=1))
    writer.close()
    return path


def _extract(pictures: Path, store: Path) -> None:
    extract(UnlabelledFolder(pictures), store, store.with_name("work"), SETTINGS.faces, 1.0, CPU, processes=1)


def _predict(predictor: Predictor, pictures: Path, rows: Path) -> float:
    """Run ``pocan predict`` without start-up; return the number of faces."""
    rows.unlink(missing_ok=True)
    return predict(sources([str(pictures)]), predictor, "untrained", Destination(rows, "csv", None), 1, False).faces


def _features(backbone: str) -> float:
    """Return CPU milliseconds per view: loading, augmentation, encoder."""
    chosen = ModelParams(backbone=backbone, weights="none", projection_hidden=512, projection_dim=256)
    encoder, count = PrototypeClassifier.untrained(chosen).network.encoder, 192
    images = np.random.default_rng(0).integers(0, 256, (count, CROP_SIZE, CROP_SIZE, 3), dtype=np.uint8)
    rows = torch.arange(count)
    request = FeatureRequest(encoder, "noise", images, "", rows, rows[:0], 0, SETTINGS.augment)
    next(iter(request.compute(encoder, CPU)))
    return _milliseconds(lambda: sum(len(found) for _, _, found in request.compute(encoder, CPU))) / count


def _names(root: Path, folders: int) -> int:
    """Write empty files with names of pictures; return their number."""
    for folder in range(folders):
        (root / f"folder-{folder:04d}").mkdir(parents=True)
        for index in range(NAMES_A_FOLDER):
            (root / f"folder-{folder:04d}" / f"picture-{index:06d}.jpg").touch()
    return folders * NAMES_A_FOLDER


def _joining(root: Path) -> dict[str, float]:
    """Measure the time of joining a small and a large store, and the peak memory in a separate process."""
    found = {}
    for count in (1024, 8192):
        part = _part(root / f"part-{count}", count)
        command = [sys.executable, "-m", "benchmarks.scale", "--peak-of", str(part)]
        lines = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout.split()
        found[f"join: peak memory (MiB) of {count} crops"] = float(lines[-1])
    shards = read_shards([root / "part-8192"])
    found["join: ms a crop"] = _milliseconds(lambda: join_stores(shards, root / "joined")) / 8192
    found["check before it: ms a crop"] = _milliseconds(lambda: read_shards([root / "part-8192"])) / 8192
    return found


def _part(folder: Path, count: int) -> Path:
    """Return a store as a single shard."""
    names = [str(number) for number in range(count // 32)]
    writer = CropWriter(folder.with_name("writing"))
    list(writer.resume(names))
    crops = np.random.default_rng(0).integers(0, 256, (32, CROP_SIZE, CROP_SIZE, 3), dtype=np.uint8)
    box = {"score": 0.99, "box": [1.0, 2.0, 3.5, 4.0], "landmarks": [float(number) for number in range(10)]}
    for name in names:
        rows = [{"key": f"folder/{name}-{index}.jpg", "method": "mtcnn", "faces": 1, **box} for index in range(32)]
        writer.append(name, CropBatch(crops, rows))
    counts = {"pictures": count, "crops": count, "unreadable": 0}
    writer.finish(
        folder, "made", "stand-in", {}, None, lambda store: write_shard(store, "faces", WHOLE, "", {}, counts)
    )
    return folder


def _peak_of(folder: Path) -> float:
    """Return the peak memory of joining one shard, in MiB."""
    with TemporaryDirectory(dir=folder.parent) as out:
        join_stores(read_shards([folder]), Path(out) / "joined")
    return peak()


def _dvc(root: Path) -> dict[str, float]:
    """Measure ``dvc add`` for a folder of many small files, and for one file of the same size."""
    project = root / "project"
    (project / "many").mkdir(parents=True)
    count, content = 2000, os.urandom(1 << 12)
    for number in range(count):
        (project / "many" / f"{number:06d}.jpg").write_bytes(content + number.to_bytes(4, "little"))
    (project / "one").write_bytes(os.urandom(1 << 26))
    dvc = [sys.executable, "-m", "dvc"]
    subprocess.run([*dvc, "init", "--no-scm", "--quiet"], cwd=project, check=True)
    subprocess.run([*dvc, "config", "core.analytics", "false"], cwd=project, check=True)
    times = {}
    for name in ("many", "one"):
        before = psutil.Process().cpu_times()
        subprocess.run([*dvc, "add", "--quiet", name], cwd=project, check=True)
        after = psutil.Process().cpu_times()
        times[name] = 1000 * sum(
            (after.children_user - before.children_user, after.children_system - before.children_system)
        )
    return {
        "dvc add: ms a small file": (times["many"] - times["one"]) / count,
        "dvc add: ms for a file of 64 MiB, start included": times["one"],
    }


def _archives(rates: dict[str, float]) -> list[list[str]]:
    """Return rows of name, CPU hours and GB."""
    crop, row = rates["faces: bytes a crop in a store"], rates["predict: bytes a row"]
    faces, found = (
        rates["faces: ms a picture, from JPEG to crop"],
        rates["predict: ms a picture, every face, ResNet-10"],
    )
    frames, passed = HOURS * 3600, rates["video: ms a frame that is passed over (MPEG-4)"]
    rows: list[tuple[str, float, float]] = [
        ("`pocan faces`", FACES * faces, FACES * crop),
        ("the same while it works: crops twice", FACES * faces, 2 * FACES * crop),
        ("`pocan predict`, one row a picture", FACES * found, FACES * row),
        ("`pocan join` of the crops, with its checks", FACES * _join(rates), FACES * crop),
        ("the same stored one file a crop: `dvc add`", FACES * rates["dvc add: ms a small file"], FACES * crop),
        (f"video, `--every {RATE}`, one row a frame", frames * (found + (RATE - 1) * passed), frames * row),
    ]
    for backbone, dim in (("resnet10", 512), ("resnet50", 2048)):
        cost = rates[f"features: ms a view, {backbone}"]
        rows.append((f"features, {backbone}, one view", FACES * cost, FACES * 4 * dim))
    return [[name, f"{cost / 3.6e6:,.1f}", f"{size / 1e9:,.0f}"] for name, cost, size in rows]


def _join(rates: dict[str, float]) -> float:
    return rates["join: ms a crop"] + rates["check before it: ms a crop"]


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.iterdir())


def _count(store: Path) -> int:
    return len(np.load(store / "crops.npy", mmap_mode="r"))


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))


if __name__ == "__main__":
    main()
