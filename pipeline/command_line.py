"""How a stage or command runs: typed arguments from the command line, user errors as one message."""

import atexit
import errno
import functools
import gc
import inspect
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import ParamSpec, TypeVar

import typer

from pipeline.errors import PipelineError
from pipeline.files import not_written

THRESHOLDS = 50_000, 20, 20
"""Of Python's collector of circular garbage: stages have little, but load libraries of a million objects meanwhile."""

DISK = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO}
"""What a system says while an open file is written, often without the file's name."""

SURROUNDINGS = {
    *DISK,
    *(errno.EACCES, errno.EPERM, errno.EROFS),
    *(errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ELOOP, errno.ENAMETOOLONG),
}
"""What a system says where a file may not, or cannot, be written: nothing that a program could be blamed for."""

P = ParamSpec("P")
R = TypeVar("R")


def reported(function: Callable[P, R]) -> Callable[P, R]:
    """Wrap a command: a ``PipelineError`` is printed to stderr as one message and ends the process with code 1.

    So is a file that the system refuses, wherever that shows (``SURROUNDINGS``). Any other exception is a fault of the
    project and keeps its traceback.
    """

    @functools.wraps(function)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return function(*args, **kwargs)
        except PipelineError as error:
            typer.echo("\n".join([f"error: {error}", *getattr(error, "__notes__", ())]), err=True)
            raise typer.Exit(1) from error
        except OSError as error:
            if error.errno not in (SURROUNDINGS if error.filename is not None else DISK):
                raise
            typer.echo(f"error: {not_written(error.filename or f'a file below {Path.cwd()}', error)}", err=True)
            raise typer.Exit(1) from error

    return wrapped


def run(main: Callable[..., None]) -> None:
    """Run a stage's ``main`` with arguments from the command line; without any, for the data set that DVC names.

    dvc.yaml writes no name into its commands: a shell would read ``x; rm …`` in params.yaml as two commands.
    """
    gc.freeze()
    gc.set_threshold(*THRESHOLDS)
    gc.enable()
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command()(reported(main))
    try:
        app(sys.argv[1:] or (_named_by_dvc() if inspect.signature(main).parameters else []))
    except SystemExit as end:
        _leave(end.code)


def _leave(code: str | int | None) -> None:
    """End the process at once: taking PyTorch apart, object by object, would cost two seconds and give nothing back."""
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code if isinstance(code, int) else 0)


def _named_by_dvc() -> list[str]:
    """The data set of the stage that DVC runs here: "ckplus" of "adapt@ckplus"."""
    _, at, name = os.environ.get("DVC_STAGE", "").partition("@")
    return ["--", name] if at else []
