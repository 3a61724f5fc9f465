"""Commands: help pages that end with an example and list what an option may be given; nothing given is empty."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import typer
from typer.core import TyperCommand

EXAMPLES = {
    "report": "pocan report",
    "summary": "pocan summary",
    "compare": "pocan compare --num 3",
    "faces": "pocan faces holiday --out holiday-faces",
    "predict": "pocan predict party.jpg holiday --model mine/model --draw shown --out faces.csv",
    "join": "pocan join parts/1 parts/2 parts/3 --out faces.csv",
    "adapt": "pocan adapt holiday --out mine",
    "check": "pocan check params/paper.yaml",
    "send": "pocan send",
    "study": "pocan study ablation --jobs 2",
    "trial-target": "pocan trial-target rafdb --out data/real/trial --at-most happiness=100",
    "trials": "pocan trials trials.csv --method shot",
    "export": "pocan export --model mine/model --out mine-onnx",
    "import-model": "pocan import-model fer --out fer-model",
    "score": "pocan score faces-by-class --model mine/model --at-least 70",
}
"""A call of each command that works, with one's own files in place of these."""


class Command(TyperCommand):
    """A command with such a page; what it lists is looked up when the page is asked for, not when a command starts."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Refuse what is empty, as where a script's variable is not set: as a path it would be the current folder."""
        for before, given in zip(["", *args], args, strict=False):
            if not given or re.fullmatch(r"--[\w-]+=", given):
                named = given or (before if before.startswith("-") else "an argument")
                raise typer.BadParameter(f"{named.rstrip('=')} is empty; name something, or leave it out")
        return super().parse_args(ctx, args)

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the page: the command's own, then the choices and the example."""
        name = self.name or ""
        lines = [*CHOICES[name]()] if name in CHOICES else []
        if name in EXAMPLES:
            lines.append(f"Example: {EXAMPLES[name]}")
        self.epilog = "\n\n".join(lines)
        super().format_help(ctx, formatter)


def _methods() -> str:
    from pipeline.config.methods import METHODS

    return f"--method: {', '.join(METHODS)} (docs/methods.md)"


def _adapt() -> Iterator[str]:
    from pipeline.config.methods import METHODS
    from pipeline.validators import LAST, VALIDATORS

    yield _methods()
    free = ", ".join(name for name, method in METHODS.items() if method.source_free)
    yield f"These need no source pictures: {free}"
    able = ", ".join(one.name for one in VALIDATORS)
    yield f"--choose: {LAST}, {able} (docs/training.md)"


def _studies() -> Iterator[str]:
    found = ", ".join(sorted(path.stem for path in Path("studies").glob("*.yaml")))
    yield f"Studies here: {found or 'none; run from the project’s root'} (docs/studies.md)"


CHOICES: dict[str, Callable[[], Iterator[str]]] = {
    "adapt": _adapt,
    "study": _studies,
    "trials": lambda: iter([_methods()]),
}
"""What options and arguments of a command may be, a line each."""
