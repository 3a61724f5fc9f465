"""What ``pocan check`` says: what the sets of a parameter file hold, and which inputs copies of the project lack."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.config.preflight import require_enough, require_inputs, unlearnable, will_be_drawn
from pipeline.config.schema import Params
from pipeline.datasets import open_dataset
from pipeline.errors import DatasetError
from pipeline.git import GitError, git
from pipeline.labels import EXPRESSIONS

if TYPE_CHECKING:
    from pipeline.datasets.parts.base import Dataset, Sample

PARTS = ("train", "val", "test")
UNDIVIDED = "all"
"""How the part of a set is called that is not divided."""


def listings(params: Params) -> list[str]:
    """A paragraph for each set: pictures by part and class beside the published numbers, and where they differ.

    Sets that will be drawn are left out. The last paragraph warns of classes that the source has no picture of.

    Raises:
        ParamsError: as ``require_inputs``.
        DatasetError: inputs are missing, or sets are laid out otherwise than documented; every one is named.
    """
    root = Path(params.data.root)
    paragraphs, warnings, faults = list[str](), list[str](), list[str]()
    try:
        require_inputs(params)
    except DatasetError as error:
        faults.append(str(error))
    for name in (*params.data.sets, *params.data.folder_sets):
        if will_be_drawn(params, name) or not (root / name).is_dir():
            continue
        try:
            dataset = open_dataset(name, root / name)
            samples = dataset.samples()
            paragraphs.append(describe(dataset, samples))
            if name == params.source and (warning := unlearnable(_training_labels(params, samples))):
                warnings.append(warning)
            require_enough(params, {name: len(samples)})
        except DatasetError as error:
            faults.append(str(error))
    if faults:
        raise DatasetError("\n".join(faults))
    return paragraphs + warnings


def _training_labels(params: Params, samples: "Sequence[Sample]") -> set[int | None]:
    """The labels that training pictures of the source can have, before it is divided."""
    division = params.split.get(params.source)
    official = division is not None and division.protocol == "official"
    return {sample.label for sample in samples if not official or sample.split == "train"}


def describe(dataset: "Dataset", samples: "Sequence[Sample]") -> str:
    """Counts of one set, the reading that was taken of its folder, and what differs from a whole copy.

    A drawn set is not meant to be a whole copy: nothing is said to differ.

    Args:
        dataset: the set.
        samples: all of it, as it lists them.
    """
    counts: dict[str, Counter[int | None]] = {}
    for sample in samples:
        counts.setdefault(sample.split or UNDIVIDED, Counter())[sample.label] += 1
    drawn = dataset.provenance != "real"
    whole = {} if drawn else dataset.expected_counts
    lines = [f"{dataset.name}: {len(samples)} pictures{', drawn stand-ins' if drawn else ''}"]
    for part in (*PARTS, UNDIVIDED):
        if part in counts or part in whole:
            lines += _part(part, counts.get(part, Counter()), whole.get(part))
    if dataset.reading_notes:
        lines.append(f"  read: {dataset.reading_notes}")
    if passed := dataset.skipped_files():
        lines.append(
            "  passed over, because they are not pictures: " + ", ".join(f"{n} {what}" for what, n in passed.items())
        )
    return "\n".join(lines)


def _part(part: str, found: Counter[int | None], published: int | Sequence[int] | None) -> list[str]:
    """The line of a part, and a warning where it is not the published one.

    Args:
        part: train, val, test or all.
        found: pictures by class, None those without a label.
        published: as many as there should be, in all or by class; None: nothing is known.
    """
    whole = {} if published is None or isinstance(published, int) else dict(enumerate(published))
    total = sum(whole.values()) if whole else published
    numbers = [
        f"{name} {_beside(found[label], whole.get(label))}"
        for label, name in enumerate(EXPRESSIONS)
        if found[label] or whole.get(label)
    ]
    if found[None]:
        numbers.append(f"no label {found[None]}")
    count = found.total()
    lines = [
        f"  {part}: {_beside(count, total if isinstance(total, int) else None)}: {', '.join(numbers) or 'nothing'}"
    ]
    if isinstance(total, int) and count != total:
        why = "pictures are missing" if count < total else "pictures were added, as copies with altered pictures have"
        lines.append(
            f"  warning: {part}: {abs(count - total)} {'fewer' if count < total else 'more'} than published: {why}"
        )
    elif any(found[label] != number for label, number in whole.items()):
        lines.append(
            f"  warning: {part}: as many as published, but of other classes: labels were changed or mean others"
        )
    return lines


def _beside(count: int, published: int | None) -> str:
    return str(count) if published is None else f"{count} of {published}"


def unversioned(params: Params) -> list[str]:
    """Paths of sets and weights that are given relative to the project, and are under no version control.

    ``dvc exp run --temp`` and ``--queue`` work in copies of what DVC and git know. A set that is drawn is drawn there
    too, and an absolute path leads out of the copy. Outside of a git repository there are no experiments.
    """
    root = Path(params.data.root)
    sets = [root / name for name in (*params.data.sets, *params.data.folder_sets) if not will_be_drawn(params, name)]
    weights = [Path(params.model.weights_file)] if params.model.weights_file else []
    return [
        str(path) for path in (*sets, *weights) if not path.is_absolute() and not _by_dvc(path) and _not_by_git(path)
    ]


def _by_dvc(path: Path) -> bool:
    """Whether ``dvc add`` was called for it, or for a folder above it."""
    return any(place.with_name(f"{place.name}.dvc").is_file() for place in (path, *path.parents) if place.name)


def _not_by_git(path: Path) -> bool:
    """Whether there is a git repository that git uses, and no file of ``path`` is in it."""
    try:
        return not git("ls-files", "--", str(path))
    except GitError:
        return False
