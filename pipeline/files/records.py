"""JSON files whose content is declared once: made by one stage as a record, read back and checked by another."""

from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from pipeline.errors import PipelineError
from pipeline.files.io import write_json


class Record(BaseModel):
    """A JSON object. Keys that are not declared, as an earlier version may have written them, are passed over."""

    model_config = ConfigDict(extra="ignore", frozen=True, strict=True, allow_inf_nan=False)

    def to_json(self) -> dict[str, Any]:
        """The object as it is written: the fields that were set, in the order in which they are declared."""
        return self.model_dump(mode="json", by_alias=True, exclude_unset=True)


R = TypeVar("R", bound=Record)


def write_record(path: Path, record: Record) -> None:
    """Write ``record`` as JSON, atomically.

    Raises:
        StorageError: the disk is full, or the file cannot be written.
    """
    write_json(path, record.to_json())


def read_record(model: type[R], path: Path, command: str) -> R:
    """The file at ``path`` as a record.

    Args:
        model: what it must be.
        path: the JSON file.
        command: what makes the file; errors say to run it.

    Raises:
        PipelineError: the file is missing or damaged; every fault is named.
    """
    try:
        return model.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        raise PipelineError(f"{path}: missing; run {command}") from None
    except ValidationError as error:
        faults = "\n".join(f"  {'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors())
        raise PipelineError(f"{path}: damaged; run {command}\n{faults}") from None
