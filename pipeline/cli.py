"""The ``pocan`` command: what is useful beside ``dvc repro``."""

from pathlib import Path
from typing import Annotated

import typer

from pipeline.command_line import reported
from pipeline.config.listings import listings
from pipeline.config.load import load
from pipeline.config.preflight import require_inputs

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

    for path in write_report(load()):
        typer.echo(path)


@app.command()
@reported
def faces(
    folder: Annotated[Path, typer.Argument(help="Pictures at any depth; sub-folders may have any names.")],
    out: Annotated[Path, typer.Option(help="Where the crops, faces.md and contact sheets go.")],
    file: Annotated[Path, typer.Option("--params", help="The parameter file whose section faces is used.")] = Path(
        "params.yaml"
    ),
    changes: Annotated[
        list[str] | None, typer.Option("--set", "-S", help="Another value, as in align=similarity; may be repeated.")
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    processes: Annotated[int | None, typer.Option(min=1, help="By default one a core, fewer for few pictures.")] = None,
) -> None:
    """Find, crop and pack the faces of any folder of pictures; started again after an interruption, it goes on."""
    # Imported here: PyTorch takes seconds to load, which --help and check need not wait for.
    from pipeline.reporting.folder_faces import extract_folder

    settings = load(file, [f"faces.{change}" for change in changes or []])
    for path in extract_folder(folder, out, settings.faces, device, processes):
        typer.echo(path)


@app.command()
@reported
def check(
    file: Annotated[Path, typer.Argument(help="The parameter file to check.")] = Path("params.yaml"),
) -> None:
    """Check a parameter file and list the inputs it names: counts and "ok", or every fault and exit with code 1."""
    params = load(file)
    require_inputs(params)
    for line in listings(params):
        typer.echo(line)
    typer.echo("ok")


@app.command()
@reported
def study(
    name: Annotated[str, typer.Argument(help="A file below studies/ without its ending, or the path of one.")],
    jobs: Annotated[int, typer.Option(min=1, help="Experiments at a time.")] = 1,
    collect: Annotated[bool, typer.Option("--collect", help="Run nothing; report what is there.")] = False,
) -> None:
    """Run a study's variants as DVC experiments, what is done left out, and compare them in reports/studies."""
    from pipeline.studies import plan
    from pipeline.studies.collect import collect as collected
    from pipeline.studies.execute import execute
    from pipeline.studies.experiments import finished
    from pipeline.studies.report import write_report

    described = plan.read(name)
    planned = plan.runs(name, described)
    failed = {} if collect else execute(planned, jobs)
    for path in write_report(Path(name).stem, described, planned, *collected(planned, finished()), failed):
        typer.echo(path)
    if failed:
        typer.echo(f"{len(failed)} of {len(planned)} experiments failed: {', '.join(failed)}", err=True)
        raise typer.Exit(1)
