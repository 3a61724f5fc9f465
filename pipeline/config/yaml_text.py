"""Parsing of YAML from files and command lines, with one error type for all faults."""

from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.constructor import DuplicateKeyError
from ruamel.yaml.error import YAMLError

from pipeline.errors import ParamsError

MOST_VALUES = 100_000
"""Maximum number of values in a text; values repeated by aliases count each time."""

MOST_BITS = 1024
"""Maximum size of an integer, in bits: the range of a float."""


def read(path: Path) -> Any:
    """Read a YAML file.

    Raises:
        ParamsError: the file is missing or unreadable, not UTF-8, or not valid YAML.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise ParamsError(f"{path}: no such file; run from the project's root") from None
    except (OSError, ValueError) as error:
        raise ParamsError(f"{path}: cannot be read ({getattr(error, 'strerror', None) or error})") from error
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ParamsError(f"{path}: not UTF-8 text, in line {line}; save the file as UTF-8") from None
    return parse(text, f"{path}: not valid YAML")


def parse(text: str, fault: str) -> Any:
    """Parse YAML 1.2 as DVC does: ``1e-5`` is a number, and duplicate keys are an error.

    Args:
        text: the YAML text.
        fault: beginning of the error message.

    Raises:
        ParamsError: the text is not valid YAML, or its aliases make it infinite or too large.
    """
    try:
        value = YAML(typ="safe", pure=True).load(text)
    except RecursionError:
        raise ParamsError(f"{fault}: nested too deeply") from None
    except DuplicateKeyError as error:
        raise ParamsError(f"{fault}: {error.problem} in line {error.problem_mark.line + 1}") from None
    except Exception as error:
        # The parser converts scalars by int(), datetime() and others, which raise various exceptions ("2024-99-99",
        # "!!bool x"). Only the parser runs above, so any exception means that the text is invalid.
        reason = str(error) if isinstance(error, YAMLError) else f"{type(error).__name__}: {error}"
        raise ParamsError(f"{fault}: {reason}") from error
    _require_bounded(value, fault)
    return value


def _require_bounded(value: Any, fault: str) -> None:
    """Refuse lists that contain themselves, too many values, and integers that are too large."""
    pending, seen = [value], 0
    while pending:
        item = pending.pop()
        seen += 1
        if seen > MOST_VALUES:
            raise ParamsError(f"{fault}: more than {MOST_VALUES} values, or an alias (*) that contains itself")
        if isinstance(item, int) and item.bit_length() > MOST_BITS:
            raise ParamsError(f"{fault}: an integer of more than {MOST_BITS} bits")
        if isinstance(item, dict):
            pending += [*item, *item.values()]
        elif isinstance(item, list | tuple | set):
            pending += item
