"""YAML as people write it into files and on command lines: plain values, or one error."""

import re
from pathlib import Path
from typing import Any

import yaml

from pipeline.errors import ParamsError

MOST_VALUES = 100_000
"""In one text, each counted as often as aliases repeat it."""

MOST_BITS = 1024
"""Of a whole number: what a float still holds."""


def read(path: Path) -> Any:
    """What stands in the file at ``path``.

    Raises:
        ParamsError: the file is missing, or is no YAML.
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
    """The value of a YAML text, with numbers as DVC reads them; ``fault``: how the error's message begins.

    Raises:
        ParamsError: it is no YAML, or its aliases make it endless or too large.
    """
    try:
        value = yaml.load(text, _Yaml12Loader)
    except RecursionError:
        raise ParamsError(f"{fault}: nested too deeply") from None
    except Exception as error:
        # PyYAML turns scalars into values by int(), datetime() and their like: "2024-99-99" or "!!bool x" raise
        # whatever these do. Nothing but PyYAML runs above, so each says that this text cannot be read.
        told = str(error) if isinstance(error, yaml.YAMLError) else f"{type(error).__name__}: {error}"
        raise ParamsError(f"{fault}: {told}") from error
    _require_bounded(value, fault)
    return value


class _Yaml12Loader(yaml.SafeLoader):
    """Reads ``1e-5`` as a number and refuses a key that stands twice in one mapping, as YAML 1.2 and DVC do.

    PyYAML reads YAML 1.1, by which ``1e-5`` is a string, and takes the last of two keys.
    """

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        node: yaml.MappingNode = super().compose_mapping_node(anchor)
        seen = set()
        for key, _ in node.value:
            if (name := (key.tag, str(key.value))) in seen:
                raise yaml.composer.ComposerError(None, None, f"key {key.value!r} stands here twice", key.start_mark)
            seen.add(name)
        return node


_Yaml12Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?(\d+(\.\d*)?|\.\d+)[eE][-+]?\d+$"), list("-+.0123456789")
)


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
