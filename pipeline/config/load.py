"""Reading and checking params.yaml. All faults are reported at once, before any work starts."""

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
"""A complete parameter file; for each method it lists the values that differ from the defaults."""

OWN_SECTIONS = frozenset({"adapt", "faces", "methods", "prototypes", "standins"})
"""A parameter file with none of these sections belongs to another project."""

PLACEHOLDERS: dict[str, Any] = {"epochs": 1, "steps_per_epoch": None, "batch_size": 2}
"""Values for the shared keys when only a method's own keys are checked."""


def load(path: Path = Path("params.yaml"), changes: Sequence[str] = ()) -> Params:
    """Read and check a parameter file.

    Args:
        path: the file.
        changes: changed values, such as ``faces.margin=0.1``. Keys that the file does not contain may have the prefix
            ``+``, which DVC requires for them (``+methods.dann.weight=3``).

    Raises:
        ParamsError: the file is missing or not a YAML mapping, or keys or values are invalid; all faults are listed.
    """
    return parse(with_changes(read(path), changes), str(path))


def with_changes(raw: dict[str, Any], changes: Sequence[str]) -> dict[str, Any]:
    """Apply changes (see ``load``) to a parameter mapping in place, and return it.

    Raises:
        ParamsError: a change does not have the form section.key=value.
    """
    for change in changes:
        _change(raw, change)
    return raw


def changed(section: S, name: str, changes: Sequence[str]) -> S:
    """Return a copy of a section with changed values.

    Args:
        section: the section.
        name: its name in a parameter file.
        changes: changed values, such as ``margin=0.1``.

    Raises:
        ParamsError: keys or values are invalid; all faults are listed.
    """
    raw: dict[str, Any] = {name: section.model_dump()}
    for change in changes:
        _change(raw, f"{name}.{change}")
    try:
        return type(section).model_validate(_lists_to_tuples(raw[name]))
    except ValidationError as error:
        raise ParamsError("; ".join(describe(fault, type(section), name) for fault in error.errors())) from None


def read(path: Path) -> dict[str, Any]:
    """Return the content of a parameter file before validation, with numbers parsed as DVC parses them.

    Raises:
        ParamsError: the file is missing, not a YAML mapping, or belongs to another project.
    """
    raw = yaml_text.read(path)
    if not isinstance(raw, dict):
        raise ParamsError(f"{path}: expected a mapping of sections, found {type(raw).__name__}")
    if not is_own(raw):
        lacking = ", ".join(sorted(OWN_SECTIONS))
        raise ParamsError(
            f"{path}: none of the sections {lacking}; it belongs to another project: run from this project's root"
        )
    return raw


def is_own(raw: Any) -> bool:
    """Return whether a params.yaml belongs to this project: other DVC projects have a file of the same name."""
    return isinstance(raw, dict) and not OWN_SECTIONS.isdisjoint(raw)


def parse(raw: dict[str, Any], name: str) -> Params:
    """Validate a whole parameter mapping; see ``parse_as``."""
    return parse_as(raw, name, Params)


def parse_as(raw: dict[str, Any], name: str, schema: type[P]) -> P:
    """Validate a parameter mapping.

    Args:
        raw: the mapping, from ``read``.
        name: its name in error messages.
        schema: the model to validate against.

    Raises:
        ParamsError: keys or values are invalid; all faults are listed.
    """
    faults: list[str] = []
    values = _lists_to_tuples(raw)
    adapt = _chosen_method(values.pop("adapt", None), values.pop("methods", None), faults)
    # If section adapt is invalid, a placeholder allows the other sections to be validated as well.
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
    """Return the parameters of the chosen method; None if faults were found, which are appended to ``faults``.

    A value comes from section ``adapt`` if it is there and not null, else from the method's section in ``methods``,
    else from the published defaults. So an experiment can change one value of the chosen method (-S adapt.tau=0.6).
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
    """Validate one section of ``methods``, even if its method is not chosen."""
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
    if not own:  # only defaults; skipping them saves building the schema, 10 ms per method
        return
    try:
        schema.model_validate({**own, "method": method, **PLACEHOLDERS})
    except ValidationError as error:
        faults += [describe(fault, schema, place) for fault in error.errors()]


def _is_misplaced(key: str, value: Any, schema: type[AdaptParams]) -> bool:
    """Return whether ``key`` of section adapt is not a parameter of the chosen method; other methods' may be null."""
    return key not in schema.model_fields and (value is not None or not _owners(key))


def _owners(key: str) -> list[str]:
    """Return the methods that have an own parameter of this name."""
    return [name for name, schema in METHODS.items() if key in schema.model_fields and key not in SHARED]


def _misplaced(key: str, schema: type[AdaptParams], place: str = "adapt") -> str:
    """Return the error message for a key in a section of a method that does not have it."""
    if key in SHARED:
        return f"{place}.{key}: the same for all methods; move it to adapt.{key}"
    if owners := _owners(key):
        has = f"{owners[0]} has" if len(owners) == 1 else f"{', '.join(owners)} have"
        to = "" if len(owners) == 1 else "the section of one of them, as "
        return f"{place}.{key}: {schema.name} has no such parameter, {has}; move it to {to}methods.{owners[0]}.{key}"
    shown = short_key(key)
    return f"{place}.{shown}: unknown key{suggestion(shown, tuple(schema.model_fields))}; remove or correct it"


def _change(raw: dict[str, Any], change: str) -> None:
    """Apply one change ("faces.margin=0.1") to a parameter mapping; missing sections are created.

    Raises:
        ParamsError: the change has another form, or its value is not valid YAML.
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
    """Convert YAML's lists to tuples, which the frozen models contain and strict validation requires."""
    if isinstance(value, dict):
        return {key: _lists_to_tuples(item) for key, item in value.items()}
    if isinstance(value, list):
        return tuple(_lists_to_tuples(item) for item in value)
    return value


def describe(fault: Any, model: type[BaseModel], place: str = "", example: str = EXAMPLE) -> str:
    """Return the message for one of pydantic's errors: the key, the fault and what to do.

    Args:
        fault: one of ``ValidationError.errors()``.
        model: the validated model.
        place: the model's key in the file ("adapt"); "" for the whole file.
        example: a valid file to refer to.
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
        # Messages of a section's validator may start with the key ("backbone: unknown ...").
        return f"{key}{'.' if message.partition(':')[0] in _known_keys(model, fault['loc']) else ': '}{message}"
    if fault["type"] == "string_pattern_mismatch":
        shown = short_repr(fault["input"])
        return f"{key}: {shown} is not a valid name: use letters, digits, _ and -, and start with a letter or digit"
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
