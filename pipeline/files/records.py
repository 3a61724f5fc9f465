"""Typed JSON files: one stage writes a record, and another reads and checks it."""

from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from pipeline.errors import PipelineError
from pipeline.files.io import write_json


class Record(BaseModel):
    """A JSON object. Keys that are not declared are ignored, because an earlier version may have written them."""

    model_config = ConfigDict(extra="ignore", frozen=True, strict=True, allow_inf_nan=False)

    def to_json(self) -> dict[str, Any]:
        """Return the object to write: the fields that were set, in the order of declaration."""
        return self.model_dump(mode="json", by_alias=True, exclude_unset=True)


R = TypeVar("R", bound=Record)


def write_record(path: Path, record: Record) -> None:
    """Write ``record`` as JSON, atomically.

    Raises:
        StorageError: the disk is full, or the file cannot be written.
    """
    write_json(path, record.to_json())


def read_record(model: type[R], path: Path, command: str) -> R:
    """Read the file at ``path`` as a record.

    Args:
        model: the record's class.
        path: the JSON file.
        command: the command that makes the file; errors say to run it.

    Raises:
        PipelineError: the file is missing or damaged; every fault is named.
    """
    try:
        return model.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        raise PipelineError(f"{path}: missing; run {command}") from None
    except ValidationError as error:
        listed = "\n".join(f"  {fault}" for fault in faults(error))
        raise PipelineError(f"{path}: damaged; run {command}\n{listed}") from None


def faults(error: ValidationError) -> list[str]:
    """Return every fault that a validation found, as "KEY: MESSAGE"."""
    return [f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors()]
