"""A study as its file describes it, and the experiments that it comes to. Nothing is run here."""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, ValidationError, field_validator

from pipeline.config import yaml_text
from pipeline.config.decisive import decisive
from pipeline.config.load import load
from pipeline.config.schema import Params
from pipeline.config.section import Name, Section, Seed
from pipeline.errors import ParamsError
from pipeline.registry import suggestion
from pipeline.reporting.studied import Table

FOLDER = Path("studies")
Value = str | int | float | bool | None | list[str | int | float]


class Study(Section):
    """A file below studies/.

    title: what the report is called. seeds: each variant runs with every one. targets: data sets; null: those of
    params.yaml. variants: by the name in the tables, the parameters that are changed. reference: the variant that
    others are compared with, beside direct transfer. along: a parameter that the variants go along, drawn as a line.
    tables: of the paper, in which reports/tables.md shows the variants, too.
    """

    title: str
    seeds: Annotated[tuple[Seed, ...], Field(min_length=1)]
    targets: Annotated[tuple[Name, ...], Field(min_length=1)] | None = None
    variants: Annotated[dict[str, dict[str, Value]], Field(min_length=1)]
    reference: str | None = None
    along: str | None = None
    tables: tuple[Table, ...] = ()

    @field_validator("seeds")
    @classmethod
    def _seeds_differ(cls, seeds: tuple[int, ...]) -> tuple[int, ...]:
        if len(set(seeds)) < len(seeds):
            raise ValueError(f"a seed is named twice in {list(seeds)}")
        return seeds


@dataclass(frozen=True)
class Run:
    """One experiment. ``changes``: as ``dvc exp run -S`` takes them; ``params``: what they come to."""

    name: str
    variant: str
    seed: int
    changes: tuple[str, ...]
    params: Params

    def decisive(self, target: str) -> dict[str, str | int | float | bool]:
        """The parameters that a result of this run must have been made with."""
        return decisive(self.params, target)


def read(name: str, folder: Path = FOLDER) -> Study:
    """The study of that name, or in that file.

    Raises:
        ParamsError: there is no such file, or a key or value is refused; every fault is named.
    """
    path = Path(name) if name.endswith((".yaml", ".yml")) else folder / f"{name}.yaml"
    known = tuple(sorted(file.stem for file in folder.glob("*.yaml")))
    if not path.is_file():
        raise ParamsError(f"{path}: no such study{suggestion(name, known)}; there are {', '.join(known) or 'none'}")
    raw = yaml_text.read(path)
    if not isinstance(raw, dict):
        raise ParamsError(f"{path}: expected a mapping (docs/studies.md), found {type(raw).__name__}")
    try:
        study = Study.model_validate(_tuples(raw))
    except ValidationError as error:
        faults = [f"  {'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors()]
        raise ParamsError(f"{path}:\n" + "\n".join(faults)) from None
    if study.reference is not None and study.reference not in study.variants:
        raise ParamsError(f"{path}: reference: no variant is called {study.reference!r}")
    if study.along is not None and (lacking := [n for n, v in study.variants.items() if study.along not in v]):
        raise ParamsError(f"{path}: along: {study.along} is not among the changes of {', '.join(lacking)}")
    return study


def runs(name: str, study: Study, params: Path = Path("params.yaml")) -> list[Run]:
    """Every experiment of the study, its parameters checked.

    Raises:
        ParamsError: a variant's parameters are refused, or two variants would have the same name.
    """
    planned: list[Run] = []
    faults: list[str] = []
    stem = Path(name).stem
    for variant, values in study.variants.items():
        for seed in study.seeds:
            wanted = {**values, "seed": seed} | ({"targets": list(study.targets)} if study.targets else {})
            changes = tuple(f"{key}={_written(value)}" for key, value in wanted.items())
            try:
                settings = load(params, changes)
            except ParamsError as error:
                faults.append(f"{variant}: {error}")
                break
            planned.append(Run(f"{slug(stem)}-{slug(variant)}-{seed}", variant, seed, changes, settings))
    names = [run.name for run in planned]
    faults += [f"two variants come to the name {twice}" for twice in {n for n in names if names.count(n) > 1}]
    if faults:
        raise ParamsError(f"study {name}:\n" + "\n".join(f"  {fault}" for fault in faults))
    return planned


def slug(text: str) -> str:
    """``text`` as part of an experiment's name: "w/o L_in" is "w-o-l-in"."""
    return re.sub(r"[^a-z0-9.]+", "-", text.lower().replace("+", " plus ")).strip("-.") or "variant"


def _written(value: Value) -> str:
    return json.dumps(value)


def _tuples(raw: dict[str, Any]) -> dict[str, Any]:
    return {key: tuple(value) if isinstance(value, list) else value for key, value in raw.items()}
