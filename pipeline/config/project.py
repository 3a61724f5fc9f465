"""Parameters of commands: those of the project in the current folder, else the package's defaults."""

from collections.abc import Sequence
from pathlib import Path

from pipeline.config import yaml_text
from pipeline.config.load import changed, is_own, load
from pipeline.config.pictures import DEFAULT_FACES, FaceParams

PARAMS = Path("params.yaml")


def params_file(named: Path | None = None) -> Path | None:
    """Return the parameter file that a command reads.

    Args:
        named: the file that the user names, if any.

    Returns:
        ``named``, or params.yaml of the project in the current folder; None if there is no project.

    Raises:
        ParamsError: params.yaml exists but cannot be read.
    """
    if named is not None or not PARAMS.exists():
        return named
    return PARAMS if is_own(yaml_text.read(PARAMS)) else None


def face_params(named: Path | None, changes: Sequence[str]) -> FaceParams:
    """Return the face parameters of ``params_file``, or ``DEFAULT_FACES`` if there is none.

    Args:
        named: the parameter file that the user names, if any.
        changes: changed values, such as ``margin=0.1``.

    Raises:
        ParamsError: the file or a change is refused.
    """
    if (file := params_file(named)) is None:
        return changed(DEFAULT_FACES, "faces", changes)
    return load(file, [f"faces.{change}" for change in changes]).faces
