"""Reading params.yaml: every unknown key, wrong type and value out of range is named before any work starts."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from pipeline.config import yaml_text
from pipeline.config.methods import METHODS, AdaptParams
from pipeline.config.methods.base import SHARED
from pipeline.config.pictures import SplitParams
from pipeline.config.schema import Params, RunParams
from pipeline.config.section import Section
from pipeline.errors import ParamsError, short_key, short_repr
from pipeline.registry import suggestion

S = TypeVar("S", bound=Section)
P = TypeVar("P", bound=RunParams)

EXAMPLE = "params/paper.yaml"
"""A complete parameter file; of each method it writes what differs from the defaults."""

OWN_SECTIONS = frozenset({"adapt", "faces", "methods", "prototypes", "standins"})
"""A parameter file with none of these is another project's."""

PLACEHOLDERS: dict[str, Any] = {"epochs": 1, "steps_per_epoch": None, "batch_size": 2}
"""Stand-ins for the keys that all methods share, where only a method's own keys are checked."""


def load(path: Path = Path("params.yaml"), changes: Sequence[str] = ()) -> Params:
    """Read and check a parameter file.

    Args:
        path: the file.
        changes: other values for some keys, written as ``faces.margin=0.1``. What the file does not write out, a
            section or a key, may be given with or without the ``+`` that DVC wants for it
            (``+methods.dann.weight=3``).

    Raises:
        ParamsError: the file is missing, is no YAML mapping, or a key or value is refused; every fault is named.
    """
    return parse(with_changes(read(path), changes), str(path))


def with_changes(raw: dict[str, Any], changes: Sequence[str]) -> dict[str, Any]:
    """A parameter mapping, changed in place as ``load`` says.

    Raises:
        ParamsError: a change has another form.
    """
    for change in changes:
        _change(raw, change)
    return raw


def changed(section: S, name: str, changes: Sequence[str]) -> S:
    """A section with other values for some of its keys.

    Args:
        section: it stays as it is.
        name: what it is called in a parameter file.
        changes: the values, written as ``margin=0.1``.

    Raises:
        ParamsError: a key or value is refused; every fault is named.
    """
    raw: dict[str, Any] = {name: section.model_dump()}
    for change in changes:
        _change(raw, f"{name}.{change}")
    try:
        return type(section).model_validate(_lists_to_tuples(raw[name]))
    except ValidationError as error:
        raise ParamsError("; ".join(describe(fault, type(section), name) for fault in error.errors())) from None


def read(path: Path) -> dict[str, Any]:
    """The unchecked content of a parameter file, with numbers as DVC reads them.

    Raises:
        ParamsError: the file is missing, is no YAML mapping, or is another project's.
    """
    raw = yaml_text.read(path)
    if not isinstance(raw, dict):
        raise ParamsError(f"{path}: expected a mapping of sections, found {type(raw).__name__}")
    if not is_own(raw):
        lacking = ", ".join(sorted(OWN_SECTIONS))
        raise ParamsError(f"{path}: none of the sections {lacking}: another project's; run from the project's root")
    return raw


def is_own(raw: Any) -> bool:
    """Whether the content of a file named params.yaml is meant for this project: DVC gives all projects such a file."""
    return isinstance(raw, dict) and not OWN_SECTIONS.isdisjoint(raw)


def parse(raw: dict[str, Any], name: str) -> Params:
    """Check a whole parameter mapping; arguments and errors as of ``parse_as``."""
    return parse_as(raw, name, Params)


def parse_as(raw: dict[str, Any], name: str, schema: type[P]) -> P:
    """Check a parameter mapping.

    Args:
        raw: as ``read`` gives it.
        name: what errors call it.
        schema: the sections that it must have.

    Raises:
        ParamsError: a key or value is refused; every fault is named.
    """
    faults: list[str] = []
    values = _lists_to_tuples(raw)
    adapt = _chosen_method(values.pop("adapt", None), values.pop("methods", None), faults)
    # Where section adapt is at fault, a stand-in lets the other sections be checked at the same time.
    placeholder = AdaptParams.model_construct(method="", **PLACEHOLDERS)
    try:
        params = schema.model_validate({**values, "adapt": adapt or placeholder})
    except ValidationError as error:
        faults += [describe(fault, schema) for fault in error.errors()]
    if faults:
        listed = f" {faults[0]}" if len(faults) == 1 else "".join(f"\n  {fault}" for fault in faults)
        raise ParamsError(f"{name}:{listed}") from None
    return params


def _chosen_method(adapt: Any, methods: Any, faults: list[str]) -> AdaptParams | None:
    """The parameters of the method that section ``adapt`` chooses; None where ``faults`` got new entries.

    They are its published values, then those of its own section in ``methods``, then those of ``adapt`` that are not
    null. So an experiment changes one value of the chosen method (-S adapt.tau=0.6), or the method alone.
    """
    before = len(faults)
    faults += [_missing(key) for key, value in (("adapt", adapt), ("methods", methods)) if not isinstance(value, dict)]
    if len(faults) > before:
        return None
    shared = {key: value for key, value in adapt.items() if key in SHARED}
    for method, values in methods.items():
        _check_method_section(method, values, faults)
    name = adapt.get("method")
    if not isinstance(name, str) or name not in METHODS:
        faults.append(f"adapt.method: {METHODS.absent(short_key(name))}")
    elif name not in methods:
        faults.append(f"methods: no section for {name}; add methods.{name}: {{}} for its published values")
    if len(faults) > before:
        return None
    schema = METHODS[name]
    own = {key: value for key, value in adapt.items() if key not in SHARED}
    faults += [_misplaced(key, schema) for key, value in own.items() if _is_misplaced(key, value, schema)]
    changes = {key: value for key, value in own.items() if value is not None and key in schema.model_fields}
    try:
        return schema.model_validate({**methods[name], **shared, **changes})
    except ValidationError as error:
        faults += [describe(fault, schema, "adapt") for fault in error.errors()]
    return None


def _check_method_section(method: str, values: Any, faults: list[str]) -> None:
    """Check one section of ``methods``, whether or not its method is chosen."""
    place = f"methods.{short_key(method)}"
    if method not in METHODS:
        faults.append(f"methods: {METHODS.absent(short_key(method))}; remove or correct {place}")
        return
    schema = METHODS[method]
    if not isinstance(values, dict):
        faults.append(f"{place}: expected a mapping of its parameters, found {short_repr(values)}; write {{}} for none")
        return
    foreign = [key for key in values if key in SHARED or key not in schema.model_fields]
    faults += [_misplaced(key, schema, place) for key in foreign]
    own = {key: value for key, value in values.items() if key not in foreign}
    if not own:  # the defaults are right; not to check them saves a method's schema, a hundredth of a second
        return
    try:
        schema.model_validate({**own, "method": method, **PLACEHOLDERS})
    except ValidationError as error:
        faults += [describe(fault, schema, place) for fault in error.errors()]


def _is_misplaced(key: str, value: Any, schema: type[AdaptParams]) -> bool:
    """Whether ``key`` of section adapt is none of the chosen method's; null stands for "not changed" in any method."""
    return key not in schema.model_fields and (value is not None or not _owners(key))


def _owners(key: str) -> list[str]:
    """The methods that have a parameter of this name of their own."""
    return [name for name, schema in METHODS.items() if key in schema.model_fields and key not in SHARED]


def _misplaced(key: str, schema: type[AdaptParams], place: str = "adapt") -> str:
    """What to say of a key that stands in a section of a method that does not have it."""
    if key in SHARED:
        return f"{place}.{key}: the same for all methods; move it to adapt.{key}"
    if owners := _owners(key):
        has = f"{owners[0]} has" if len(owners) == 1 else f"{', '.join(owners)} have"
        to = "" if len(owners) == 1 else "the section of one of them, as "
        return f"{place}.{key}: {schema.name} has no such parameter, {has}; move it to {to}methods.{owners[0]}.{key}"
    shown = short_key(key)
    return f"{place}.{shown}: unknown key{suggestion(shown, tuple(schema.model_fields))}; remove or correct it"


def _change(raw: dict[str, Any], change: str) -> None:
    """Put the value of ``change`` ("faces.margin=0.1") into a parameter mapping, in a new section where there is none.

    Raises:
        ParamsError: it has another form, or the value is no YAML.
    """
    key, equals, value = change.partition("=")
    *sections, last = key.lstrip("+").split(".")
    place: Any = raw
    for section in sections:
        place = place.setdefault(section, {}) if isinstance(place, dict) else None
    if not equals or not last or not isinstance(place, dict):
        raise ParamsError(f"{change}: not of the form section.key=value, with a section of the parameter file")
    place[last] = yaml_text.parse(value, f"{change}: the value is not valid YAML")


def _lists_to_tuples(value: Any) -> Any:
    """YAML has lists; the frozen models hold tuples, which strict validation does not make from lists."""
    if isinstance(value, dict):
        return {key: _lists_to_tuples(item) for key, item in value.items()}
    if isinstance(value, list):
        return tuple(_lists_to_tuples(item) for item in value)
    return value


def describe(fault: Any, model: type[BaseModel], place: str = "", example: str = EXAMPLE) -> str:
    """What to tell of one fault that pydantic found: where, what, and what to do.

    Args:
        fault: one of ``ValidationError.errors()``.
        model: what was checked.
        place: where it stands in its file ("adapt"); "" for the whole file.
        example: a file that is right.
    """
    key = ".".join(part for part in (place, *map(short_key, fault["loc"])) if part)
    if fault["type"] == "extra_forbidden":
        hint = suggestion(short_key(fault["loc"][-1]), _known_keys(model, fault["loc"][:-1]))
        return f"{key}: unknown key{hint}; remove or correct it"
    if fault["type"] == "missing":
        return _missing(key, example)
    if fault["type"] == "value_error":
        message = str(fault["ctx"]["error"])
        if not key:
            return message
        # A check of a whole section begins with the key that is at fault ("backbone: unknown ...").
        return f"{key}{'.' if message.partition(':')[0] in _known_keys(model, fault['loc']) else ': '}{message}"
    if fault["type"] == "string_pattern_mismatch":
        return (
            f"{key}: {short_repr(fault['input'])} is no name: use letters, digits, _ and -, the first a letter or digit"
        )
    return f"{key}: {fault['msg'][0].lower()}{fault['msg'][1:]}, found {short_repr(fault['input'])}"


def _missing(key: str, example: str = EXAMPLE) -> str:
    return f"{key}: missing; add it ({example} is a complete example)"


def _known_keys(model: type[BaseModel], location: tuple[Any, ...]) -> tuple[str, ...]:
    for part in location:
        field = model.model_fields.get(str(part))
        if field is None or not (isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)):
            return tuple(SplitParams.model_fields)
        model = field.annotation
    return tuple(model.model_fields)
