"""The ``pocan`` command: what is useful beside ``dvc repro``."""

from pathlib import Path
from typing import Annotated

import typer

from pipeline import params
from pipeline.preflight import require_inputs
from pipeline.stage import reported

app = typer.Typer(
    help="POCAN: cross-domain facial expression recognition. The pipeline itself is run with `dvc repro`.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


@app.command()
@reported
def report() -> None:
    """Make reports/tables.md and reports/figures anew from reports/evaluate, without running any other stage."""
    # Imported here: drawing libraries take seconds to load, which --help and check need not wait for.
    from pipeline.reporting import write_report

    for path in write_report(params.load()):
        typer.echo(path)


@app.command()
@reported
def check(
    file: Annotated[Path, typer.Argument(help="The parameter file to check.")] = Path("params.yaml"),
) -> None:
    """Check a parameter file and that the inputs it names exist: print "ok", or every fault and exit with code 1."""
    require_inputs(params.load(file))
    typer.echo("ok")
