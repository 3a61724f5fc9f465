"""A study as its file describes it, and the experiments that it comes to. Nothing is run here."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, ValidationError, field_validator, model_validator

from pipeline.config import load, yaml_text
from pipeline.config.dependencies import result_params
from pipeline.config.methods import METHODS
from pipeline.config.schema import Params
from pipeline.config.section import Name, Section, Seed
from pipeline.errors import ParamsError
from pipeline.registry import suggestion
from pipeline.reporting.study_results import Table

FOLDER = Path("studies")
Value = str | int | float | bool | None | list[str | int | float]


class Study(Section):
    """A file below studies/.

    Attributes:
        title: what the report is called.
        seeds: each variant runs with every one.
        targets: data sets; None: those of params.yaml.
        every: "adapt.method" adds a variant for each registered method that is ranked and that none of
            ``variants`` names.
        variants: by the name in the tables, the parameters that are changed.
        reference: the variant that others are compared with, beside direct transfer.
        along: a parameter that the variants give numbers, drawn as a line.
        tables: of the paper, in which reports/tables.md shows the variants, too.
    """

    title: str
    seeds: tuple[Seed, ...]
    targets: Annotated[tuple[Name, ...], Field(min_length=1)] | None = None
    every: Literal["adapt.method"] | None = None
    variants: Annotated[dict[str, dict[str, Value]], Field(min_length=1)]
    reference: str | None = None
    along: str | None = None
    tables: tuple[Table, ...] = ()

    @model_validator(mode="before")
    @classmethod
    def _every_method_is_a_variant(cls, study: Any) -> Any:
        """With ``every``: the methods that no variant names, in the registry's order; a new one needs no line."""
        if not isinstance(study, dict) or study.get("every") != "adapt.method":
            return study
        variants = study.get("variants", {})
        if not isinstance(variants, dict):
            return study
        written = [changes.get("adapt.method") for changes in variants.values() if isinstance(changes, dict)]
        ranked = {name: params for name, params in METHODS.items() if params.ranked and name not in written}
        methods = {params.title: {"adapt.method": name} for name, params in ranked.items()}
        return {**study, "variants": {**variants, **methods, **variants}}

    @field_validator("seeds", mode="before")
    @classmethod
    def _seeds_are_some(cls, seeds: Any) -> Any:
        if not isinstance(seeds, tuple) or not seeds:
            raise ValueError("a list of at least one seed is meant, as [0, 1, 2]")
        return seeds

    @field_validator("seeds")
    @classmethod
    def _seeds_differ(cls, seeds: tuple[int, ...]) -> tuple[int, ...]:
        if len(set(seeds)) < len(seeds):
            raise ValueError(f"a seed is named twice in {list(seeds)}")
        return seeds

    @field_validator("variants", mode="before")
    @classmethod
    def _variants_are_flat(cls, variants: Any) -> Any:
        """Common mistakes get one message here; pydantic would say one for every type that a value may have."""
        for name, changes in variants.items() if isinstance(variants, dict) else ():
            if not isinstance(name, str):
                raise ValueError(f'{name}: the name of a variant is a text: write "{name}"')
            if changes is None:
                raise ValueError(f"{name}: nothing follows; write {{}} where nothing is changed")
            for key, value in changes.items() if isinstance(changes, dict) else ():
                if isinstance(value, dict):
                    inner, written = next(iter(value.items()), ("key", "value"))
                    raise ValueError(f"{name}: write a whole key in one line, as {key}.{inner}: {_written(written)}")
        return variants

    @model_validator(mode="after")
    def _variants_go_with_the_rest(self) -> Self:
        if self.reference is not None and self.reference not in self.variants:
            raise ValueError(f"reference: no variant is called {self.reference!r}")
        for name, changes in self.variants.items():
            if not {key.lstrip("+") for key in changes}.isdisjoint({"seed", "targets"} if self.targets else {"seed"}):
                raise ValueError(f"variants.{name}: seed and targets are the study's, the same for every variant")
            if self.along is not None and self.along not in changes:
                raise ValueError(f"along: {self.along} is not among the changes of {name}")
            if self.along is not None and type(changes[self.along]) not in (int, float):
                raise ValueError(f"along: {self.along} is no number in {name}; leave along out to draw no line")
        return self


@dataclass(frozen=True)
class Run:
    """One experiment: a variant with a seed.

    Attributes:
        name: of the DVC experiment.
        variant: its name in the study.
        seed: of everything in it.
        changes: of parameters, as ``dvc exp run -S`` takes them.
        params: all parameters, with these changes.
    """

    name: str
    variant: str
    seed: int
    changes: tuple[str, ...]
    params: Params

    def result_params(self, target: str) -> dict[str, str | int | float | bool]:
        """The parameters that a result of this run must have been made with."""
        return result_params(self.params, target)


def read(name: str, folder: Path = FOLDER) -> Study:
    """Read a study.

    Args:
        name: of a file in ``folder`` without its ending, or the path of a file.
        folder: of the studies.

    Raises:
        ParamsError: there is no such file, or a key or value is refused; every fault is named.
    """
    path = Path(name) if name.endswith((".yaml", ".yml")) else folder / f"{name}.yaml"
    known = tuple(sorted(file.stem for file in folder.glob("*.yaml")))
    if not path.is_file():
        there = f"there are {', '.join(known)}" if known else "there are none: run from the project's root"
        raise ParamsError(f"{path}: no such study{suggestion(name, known)}; {there}")
    raw = yaml_text.read(path)
    if not isinstance(raw, dict):
        raise ParamsError(f"{path}: expected a mapping (docs/studies.md), found {type(raw).__name__}")
    if path.stem in known and not path.samefile(folder / f"{path.stem}.yaml"):
        raise ParamsError(
            f"{path}: {folder / path.stem}.yaml has the same name, and so the same experiments and report; rename one"
        )
    try:
        return Study.model_validate(_tuples(raw))
    except ValidationError as error:
        faults = [f"  {load.describe(fault, Study, example='studies/ablation.yaml')}" for fault in error.errors()]
        raise ParamsError(f"{path}:\n" + "\n".join(faults)) from None


def runs(name: str, study: Study, params: Path = Path("params.yaml")) -> list[Run]:
    """Every experiment of the study, its parameters checked.

    Args:
        name: of the study, or the path of its file.
        study: what that file says.
        params: the parameter file that the variants change.

    Raises:
        ParamsError: a variant's parameters are refused, or two variants have the same name or come to the same.
    """
    planned: list[Run] = []
    faults: list[str] = []
    written = load.read(params)
    stem = Path(name).stem
    for variant, values in study.variants.items():
        for seed in study.seeds:
            wanted = {**values, "seed": seed} | ({"targets": list(study.targets)} if study.targets else {})
            changes = tuple(f"{_whole(key, written)}={_written(value)}" for key, value in wanted.items())
            try:
                settings = load.load(params, changes)
            except ParamsError as error:
                faults.append(f"{variant}: {error}")
                break
            planned.append(Run(f"{slug(stem)}-{slug(variant)}-{seed}", variant, seed, changes, settings))
    names = [run.name for run in planned]
    faults += [f"two variants come to the name {twice}" for twice in {n for n in names if names.count(n) > 1}]
    faults += _alike(planned, study.seeds[0])
    if faults:
        raise ParamsError(f"study {name}:\n" + "\n".join(f"  {fault}" for fault in faults))
    return planned


def slug(text: str) -> str:
    """``text`` as part of an experiment's name: "w/o L_in" is "w-o-l-in"."""
    return re.sub(r"[^a-z0-9.]+", "-", text.lower().replace("+", " plus ")).strip("-.") or "variant"


def _alike(planned: Sequence[Run], seed: int) -> list[str]:
    """Messages about variants with equal parameters, as where params.yaml has already what one of them changes."""
    return [
        f"{one.variant} and {two.variant} come to the same parameters"
        for one, two in combinations([run for run in planned if run.seed == seed], 2)
        if one.params == two.params
    ]


def _whole(key: str, written: Mapping[str, Any]) -> str:
    """The key as DVC wants it: with a "+" (which a study may write as well) where the parameter file lacks it."""
    bare = key.lstrip("+")
    place: Any = written
    for part in bare.split("."):
        if not isinstance(place, dict) or part not in place:
            return f"+{bare}"
        place = place[part]
    return bare


def _written(value: Value) -> str:
    return json.dumps(value)


def _tuples(raw: dict[str, Any]) -> dict[str, Any]:
    return {key: tuple(value) if isinstance(value, list) else value for key, value in raw.items()}
