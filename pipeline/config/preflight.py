"""What can be told wrong before anything runs: inputs that a parameter file names and that are not there."""

from pathlib import Path

from pipeline.config import layout
from pipeline.config.schema import Params
from pipeline.errors import DatasetError, ParamsError
from pipeline.registry import unknown


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


def require_inputs(params: Params) -> None:
    """Check that every data set of the run is in ``data.root`` or will be drawn there, and that the weights exist.

    Raises:
        DatasetError: something is missing; every fault is named with what to do.
    """
    root = Path(params.data.root)
    faults = []
    for name in (params.source, *params.targets):
        folder = root / name
        drawn = name in params.standins.sets and folder == layout.standins(name)
        if not drawn and not folder.is_dir():
            faults.append(
                f"{folder}: no such folder; unpack {name} there, set data.root, "
                f"or leave it out of {'source' if name == params.source else 'targets'}"
            )
    weights = params.model.weights_file
    if weights and not Path(weights).is_file():
        faults.append(f"{weights}: no such file; put your copy of the weights there or set model.weights_file")
    if faults:
        raise DatasetError("inputs are missing:\n" + "\n".join(f"  {fault}" for fault in faults))
