"""YAML as people write it into files and on command lines: plain values, or one error."""

from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.constructor import DuplicateKeyError
from ruamel.yaml.error import YAMLError

from pipeline.errors import ParamsError

MOST_VALUES = 100_000
"""In one text, each counted as often as aliases repeat it."""

MOST_BITS = 1024
"""Of a whole number: what a float still holds."""


def read(path: Path) -> Any:
    """The value of a YAML file.

    Raises:
        ParamsError: the file is missing, cannot be read, is not UTF-8 or no YAML.
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
    """The value of a YAML 1.2 text, read as DVC reads it: ``1e-5`` is a number, and a key stands once in a mapping.

    Args:
        text: what was written.
        fault: how the error's message begins.

    Raises:
        ParamsError: it is no YAML, or its aliases make it endless or too large.
    """
    try:
        value = YAML(typ="safe", pure=True).load(text)
    except RecursionError:
        raise ParamsError(f"{fault}: nested too deeply") from None
    except DuplicateKeyError as error:
        raise ParamsError(f"{fault}: {error.problem} in line {error.problem_mark.line + 1}") from None
    except Exception as error:
        # Scalars become values by int(), datetime() and their like: "2024-99-99" or "!!bool x" raise whatever these
        # do. Nothing but the reader of YAML runs above, so each says that this text cannot be read.
        reason = str(error) if isinstance(error, YAMLError) else f"{type(error).__name__}: {error}"
        raise ParamsError(f"{fault}: {reason}") from error
    _require_bounded(value, fault)
    return value


def _require_bounded(value: Any, fault: str) -> None:
    """Refuse what nobody could work with: lists that hold themselves, millions of values, thousands of digits."""
    pending, seen = [value], 0
    while pending:
        item = pending.pop()
        seen += 1
        if seen > MOST_VALUES:
            raise ParamsError(f"{fault}: more than {MOST_VALUES} values, or one that holds itself by an alias (*)")
        if isinstance(item, int) and item.bit_length() > MOST_BITS:
            raise ParamsError(f"{fault}: a whole number of more than {MOST_BITS} bits")
        if isinstance(item, dict):
            pending += [*item, *item.values()]
        elif isinstance(item, list | tuple | set):
            pending += item
