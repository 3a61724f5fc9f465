"""What can be told wrong before anything runs: inputs that a parameter file names and that are not there."""

from pathlib import Path

from pipeline import layout
from pipeline.errors import DatasetError
from pipeline.params import Params


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
