"""The output of ``pocan check``: the content of the data sets, and inputs that are not under version control."""

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
"""The name of the only part of a data set without an official split."""


def listings(params: Params) -> list[str]:
    """Return one paragraph per data set: numbers of pictures by part and class, compared with the published ones.

    Sets that will be drawn are omitted. A last paragraph warns if the source lacks classes.

    Raises:
        ParamsError: see ``require_inputs``.
        DatasetError: inputs are missing, or do not have the documented layout; all faults are listed.
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
    """Return the labels that the source's training pictures can have, before it is split."""
    division = params.split.get(params.source)
    official = division is not None and division.protocol == "official"
    return {sample.label for sample in samples if not official or sample.split == "train"}


def describe(dataset: "Dataset", samples: "Sequence[Sample]") -> str:
    """Describe one data set: counts, how its folder was read, and differences from the published numbers.

    A drawn set is not compared with them.

    Args:
        dataset: the data set.
        samples: all its samples.
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
            "  skipped, because they are not pictures: " + ", ".join(f"{n} {what}" for what, n in passed.items())
        )
    return "\n".join(lines)


def _part(part: str, found: Counter[int | None], published: int | Sequence[int] | None) -> list[str]:
    """Return the line of one part, and a warning if it differs from the published numbers.

    Args:
        part: train, val, test or all.
        found: number of pictures by class; None: without a label.
        published: the published number, in total or by class; None: unknown.
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
        why = "pictures are missing" if count < total else "pictures were added, as in augmented copies"
        lines.append(
            f"  warning: {part}: {abs(count - total)} {'fewer' if count < total else 'more'} than published: {why}"
        )
    elif any(found[label] != number for label, number in whole.items()):
        lines.append(
            f"  warning: {part}: the published number of pictures, but other class counts: labels were changed or mean "
            "something else"
        )
    return lines


def _beside(count: int, published: int | None) -> str:
    return str(count) if published is None else f"{count} of {published}"


def unversioned(params: Params) -> list[str]:
    """Return the relative paths of data sets and weights that are not under version control.

    ``dvc exp run --temp`` and ``--queue`` run in a copy that contains only files known to DVC and git. Drawn sets are
    drawn there again, and absolute paths work from the copy. Outside of a git repository there are no experiments.
    """
    root = Path(params.data.root)
    sets = [root / name for name in (*params.data.sets, *params.data.folder_sets) if not will_be_drawn(params, name)]
    weights = [Path(params.model.weights_file)] if params.model.weights_file else []
    return [
        str(path) for path in (*sets, *weights) if not path.is_absolute() and not _by_dvc(path) and _not_by_git(path)
    ]


def _by_dvc(path: Path) -> bool:
    """Return whether DVC tracks the path or a folder above it (``dvc add``)."""
    return any(place.with_name(f"{place.name}.dvc").is_file() for place in (path, *path.parents) if place.name)


def _not_by_git(path: Path) -> bool:
    """Return whether there is a git repository here that does not contain ``path``."""
    try:
        return not git("ls-files", "--", str(path))
    except GitError:
        return False
