"""What the data sets of a parameter file hold, from their listings alone: counts beside the published ones."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from pipeline.config import layout
from pipeline.config.preflight import require_enough
from pipeline.config.schema import Params
from pipeline.datasets import Dataset, Sample, open_dataset
from pipeline.errors import DatasetError
from pipeline.labels import EXPRESSIONS


def listings(params: Params) -> list[str]:
    """A paragraph for each set: pictures by part and by class, and where their number is not the published one.

    Sets that will be drawn are left out.

    Raises:
        DatasetError: sets are laid out otherwise than documented; every one is named.
    """
    root = Path(params.data.root)
    told, faults = [], []
    for name in (*params.data.sets, *params.data.folder_sets):
        if name in params.standins.sets and root / name == layout.standins(name):
            continue
        try:
            dataset = open_dataset(name, root / name)
            samples = dataset.samples()
            told.append(described(dataset, samples))
            require_enough(params, {name: len(samples)})
        except DatasetError as error:
            faults.append(str(error))
    if faults:
        raise DatasetError("\n".join(faults))
    return told


def described(dataset: Dataset, samples: Sequence[Sample]) -> str:
    """Counts of one set, the reading that was taken of its folder, and what differs from a whole copy."""
    parts = Counter(sample.split or "all" for sample in samples)
    classes = Counter("no label" if sample.label is None else EXPRESSIONS[sample.label] for sample in samples)
    lines = [f"{dataset.name}: {_counts(parts)}; {_counts({n: classes[n] for n in (*EXPRESSIONS, 'no label')})}"]
    if dataset.reading:
        lines.append(f"  read: {dataset.reading}")
    lines += [
        f"  passed over, as they are no pictures: {_counts(passed)}" for passed in [dataset.passed_over()] if passed
    ]
    if dataset.provenance == "real":
        lines += [
            f"  warning: {parts[part]} pictures of {part}, published are {count}: pictures are missing or were added"
            for part, count in dataset.published.items()
            if parts[part] != count
        ]
    return "\n".join(lines)


def _counts(counts: dict[str, int] | Counter[str]) -> str:
    return ", ".join(f"{count} {name}" for name, count in counts.items() if count)
