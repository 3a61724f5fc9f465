"""The project in the current folder, where there is one: elsewhere commands work with the package's own defaults."""

from collections.abc import Sequence
from pathlib import Path

from pipeline.config import yaml_text
from pipeline.config.load import changed, is_own, load
from pipeline.config.pictures import DEFAULT_FACES, FaceParams

PARAMS = Path("params.yaml")


def params_file(named: Path | None = None) -> Path | None:
    """The parameter file that a command reads.

    Args:
        named: the one that the user names.

    Returns:
        ``named``, or params.yaml of the project in the current folder; None: there is no project.

    Raises:
        ParamsError: there is a params.yaml that cannot be read.
    """
    if named is not None or not PARAMS.exists():
        return named
    return PARAMS if is_own(yaml_text.read(PARAMS)) else None


def face_params(named: Path | None, changes: Sequence[str]) -> FaceParams:
    """How faces are found and cropped: by ``params_file``, else by ``DEFAULT_FACES``.

    Args:
        named: the parameter file that the user names.
        changes: other values, as ``margin=0.1``.

    Raises:
        ParamsError: the file or a change is refused.
    """
    if (file := params_file(named)) is None:
        return changed(DEFAULT_FACES, "faces", changes)
    return load(file, [f"faces.{change}" for change in changes]).faces
