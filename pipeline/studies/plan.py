"""A study's file, and the experiments it asks for. Nothing is run here."""

import json
import re
from collections.abc import Collection, Mapping, Sequence
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
    """A file in studies/.

    Attributes:
        title: title of the report.
        seeds: seeds; each variant runs with each of them.
        targets: data sets; None: those of params.yaml.
        every: "adapt.method" adds a variant for each registered method that is ranked and that no entry of ``variants``
            names.
        variants: changed parameters, by the variant's name in the tables.
        reference: the variant that the others are compared with, besides direct transfer.
        along: a parameter with numbers in all variants; the accuracy is drawn as a line along it.
        tables: the paper's tables in which reports/tables.md also shows the variants.
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
        """With ``every``, add the methods that no variant names, in the registry's order; new methods are included."""
        if not isinstance(study, dict) or study.get("every") != "adapt.method":
            return study
        variants = study.get("variants", {})
        if not isinstance(variants, dict):
            return study
        written = [changes.get("adapt.method") for changes in variants.values() if isinstance(changes, dict)]
        ranked = {name: params for name, params in METHODS.items() if params.ranked and name not in written}
        methods = {params.title: {"adapt.method": name} for name, params in ranked.items()}
        return {**study, "variants": {**variants, **methods, **variants}}

    def without(self, variants: Collection[str]) -> "Study":
        """Return the study without some of its variants."""
        kept = {name: changes for name, changes in self.variants.items() if name not in variants}
        reference = None if self.reference in variants else self.reference
        return self.model_copy(update={"variants": kept, "reference": reference})

    @field_validator("seeds", mode="before")
    @classmethod
    def _seeds_are_some(cls, seeds: Any) -> Any:
        if not isinstance(seeds, tuple) or not seeds:
            raise ValueError("write a list of at least one seed, such as [0, 1, 2]")
        return seeds

    @field_validator("seeds")
    @classmethod
    def _seeds_differ(cls, seeds: tuple[int, ...]) -> tuple[int, ...]:
        if len(set(seeds)) < len(seeds):
            raise ValueError(f"a seed occurs twice in {list(seeds)}")
        return seeds

    @field_validator("variants", mode="before")
    @classmethod
    def _variants_are_flat(cls, variants: Any) -> Any:
        """Report common mistakes in one message each; pydantic would give one message per possible type of value."""
        for name, changes in variants.items() if isinstance(variants, dict) else ():
            if not isinstance(name, str):
                raise ValueError(f'{name}: the name of a variant must be a text: write "{name}"')
            if changes is None:
                raise ValueError(f"{name}: nothing follows; write {{}} to change nothing")
            for key, value in changes.items() if isinstance(changes, dict) else ():
                if isinstance(value, dict):
                    inner, written = next(iter(value.items()), ("key", "value"))
                    raise ValueError(
                        f"{name}: write the whole key in one line, such as {key}.{inner}: {_written(written)}"
                    )
        return variants

    @model_validator(mode="after")
    def _variants_go_with_the_rest(self) -> Self:
        if self.reference is not None and self.reference not in self.variants:
            raise ValueError(f"reference: no variant is called {self.reference!r}")
        for name, changes in self.variants.items():
            if not {key.lstrip("+") for key in changes}.isdisjoint({"seed", "targets"} if self.targets else {"seed"}):
                raise ValueError(f"variants.{name}: seed and targets belong to the study, not to a variant")
            if self.along is not None and self.along not in changes:
                raise ValueError(f"along: {self.along} is not among the changes of {name}")
            if self.along is not None and type(changes[self.along]) not in (int, float):
                raise ValueError(f"along: {self.along} is not a number in {name}; remove along to draw no line")
        return self


@dataclass(frozen=True)
class Run:
    """One experiment: a variant with a seed.

    Attributes:
        name: name of the DVC experiment.
        variant: name of the variant in the study.
        seed: seed of all random numbers.
        changes: changed parameters, in the form of ``dvc exp run -S``.
        params: all parameters, with these changes.
    """

    name: str
    variant: str
    seed: int
    changes: tuple[str, ...]
    params: Params

    def result_params(self, target: str) -> dict[str, str | int | float | bool]:
        """Return the parameters that a result of this run must have."""
        return result_params(self.params, target)


def read(name: str, folder: Path = FOLDER) -> Study:
    """Read a study.

    Args:
        name: name of a file in ``folder`` without its suffix, or the path of a file.
        folder: folder of the studies.

    Raises:
        ParamsError: the file does not exist, or a key or value is invalid; every error is named.
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
    """Return all experiments of the study, with checked parameters.

    Args:
        name: name of the study, or the path of its file.
        study: content of that file.
        params: the parameter file that the variants change.

    Raises:
        ParamsError: a variant's parameters are invalid, or two variants have the same name or the same parameters.
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
    faults += [f"two variants have the name {twice}" for twice in {n for n in names if names.count(n) > 1}]
    faults += _equal_variants(planned, study.seeds[0])
    if faults:
        raise ParamsError(f"study {name}:\n" + "\n".join(f"  {fault}" for fault in faults))
    return planned


def slug(text: str) -> str:
    """Return ``text`` as part of an experiment's name: "w/o L_in" becomes "w-o-l-in"."""
    return re.sub(r"[^a-z0-9.]+", "-", text.lower().replace("+", " plus ")).strip("-.") or "variant"


def _equal_variants(planned: Sequence[Run], seed: int) -> list[str]:
    """Return messages about variants with equal parameters; params.yaml may already have a variant's value."""
    return [
        f"{one.variant} and {two.variant} have the same parameters"
        for one, two in combinations([run for run in planned if run.seed == seed], 2)
        if one.params == two.params
    ]


def _whole(key: str, written: Mapping[str, Any]) -> str:
    """Return the key in DVC's form: with "+" if the parameter file lacks it. A study may write the "+" too."""
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
