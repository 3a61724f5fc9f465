"""A trial target as a folder of pictures: a labelled test set, altered by a camera and with other class shares.

A target's labels must not be used to choose settings for it. A trial target consists of the source's test pictures,
altered so that they are a shifted domain, and its labels are known. A gain on it does not measure the gain on the real
target, but separates settings that can help from those that cannot.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pipeline.config.preflight import require_set
from pipeline.config.schema import Params
from pipeline.data.prepared import PreparedData
from pipeline.datasets import open_dataset
from pipeline.datasets.parts.base import Dataset
from pipeline.errors import DatasetError, ParamsError
from pipeline.files.atomic import atomic_folder, require_apart, require_free
from pipeline.files.io import write_json
from pipeline.labels import EXPRESSIONS, STAND_IN_MARK
from pipeline.progress import progress_bar
from pipeline.registry import unknown
from pipeline.trials.camera import Camera


def write_trial_target(params: Params, name: str, out: Path, at_most: Sequence[str], seed: int) -> dict[str, int]:
    """Write altered test pictures of a data set to a folder with one sub-folder per class.

    Args:
        params: the parameters, which contain the path of the data set.
        name: name of the data set.
        out: a new folder.
        at_most: maximum numbers by class, such as ``happiness=100``; other classes are not limited.
        seed: seed of all random numbers.

    Returns:
        The number of pictures of each class.

    Raises:
        ParamsError: the data set or a class is unknown, or a number is invalid.
        DatasetError: the set is not prepared, its test rows have no labels, or ``out`` exists or is inside the set.
        UnreadableImageError: a picture cannot be decoded.
        StorageError: a picture cannot be written.
    """
    require_set(params, name)
    most = bounds(at_most)
    require_free(out, "--out")
    root = Path(params.data.root) / name
    require_apart(out, root, "--out")
    data, dataset = PreparedData.open(name), open_dataset(name, root)
    counts = dict.fromkeys(EXPRESSIONS, 0)
    pictures = _altered(data, dataset, most, np.random.Generator(np.random.PCG64(seed)))
    with atomic_folder(out) as folder:
        for expression, file, picture in progress_bar(pictures, desc="trial target", unit="picture"):
            (folder / expression).mkdir(exist_ok=True)
            Image.fromarray(picture).save(folder / expression / file)
            counts[expression] += 1
        if not any(counts.values()):
            raise DatasetError(f"{name}: no picture of its test part is left that has a label: nothing could be scored")
        if dataset.provenance == "stand-in":
            write_json(folder / STAND_IN_MARK, {"stand_in": True, "dataset": name, "trial_target": True, "seed": seed})
    return counts


def bounds(at_most: Sequence[str]) -> dict[int, int]:
    """Parse texts such as ``happiness=100`` into numbers by class index.

    Raises:
        ParamsError: a class is unknown, or a number is invalid.
    """
    found = {}
    for each in at_most:
        expression, _, number = each.partition("=")
        if expression not in EXPRESSIONS:
            raise ParamsError(f"--at-most {each}: unknown expression {unknown(expression, EXPRESSIONS)}")
        if not re.fullmatch("[0-9]{1,9}", number):
            raise ParamsError(f"--at-most {each}: give a number of pictures, as in {expression}=100")
        found[EXPRESSIONS.index(expression)] = int(number)
    return found


def _altered(
    data: PreparedData, dataset: Dataset, most: Mapping[int, int], draw: np.random.Generator
) -> Iterator[tuple[str, str, NDArray[np.uint8]]]:
    """Yield class, file name and altered picture, ordered by class."""
    samples = {sample.key: sample for sample in dataset.samples()}
    keys = data.store.samples["key"].to_numpy()
    tested = np.sort(data.split.test)
    labels, camera = data.store.labels()[tested], Camera()
    for label, expression in enumerate(EXPRESSIONS):
        # If there are too many of a class, a random subset, in the set's order.
        drawn = np.sort(draw.permutation(tested[labels == label])[: most.get(label)])
        for row in drawn:
            if (key := keys[row]) not in samples:
                raise DatasetError(
                    f"{dataset.root}: {key}, which is in {data.store.folder}, is gone; run its faces stage again"
                )
            yield expression, _file_name(key, row), camera.show(dataset.read(samples[key]), draw)


def _file_name(key: str, row: int) -> str:
    """Return a file name from the end of a key and its row, because keys may differ only in replaced characters."""
    end = re.sub(r"[^\w.-]+", "-", key)[-50:]
    return f"{end}-{row}.png"
