"""How a stage or command runs: typed arguments from the command line, user errors as one message."""

import atexit
import errno
import functools
import gc
import inspect
import io
import logging
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import typer
from typer.core import TyperCommand, TyperGroup

from pipeline.errors import PipelineError
from pipeline.files.atomic import storage_error
from pipeline.files.names import as_text
from pipeline.locks import exclusive

GARBAGE_THRESHOLDS = 50_000, 20, 20
"""Of Python's garbage collector: stages leave little, but it would look through the libraries' million objects."""

NOT_WRITABLE = {
    *(errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.EFBIG),
    *(errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ENOTEMPTY),
}
SYSTEM_REFUSALS = NOT_WRITABLE | {
    *(errno.EACCES, errno.EPERM, errno.EIO, errno.ESTALE, errno.ETIMEDOUT),
    *(errno.ELOOP, errno.ENAMETOOLONG, errno.EMFILE, errno.ENFILE, errno.EBUSY),
}
"""Errors of the system where a file cannot be written, or read: the program is not at fault."""

INTERRUPTED = 130
"""The exit code of a command that Ctrl-C has ended, as shells have it."""

HINT_LOGGER = "lightning_fabric.utilities.rank_zero"
"""A logger that recommends, on every GPU with tensor cores, what ``compute.precision`` decides."""

P = ParamSpec("P")
R = TypeVar("R")


def report_errors(function: Callable[P, R]) -> Callable[P, R]:
    """Wrap a command: a ``PipelineError`` is printed to stderr as one message and ends the process with code 1.

    Ctrl-C is one line, too, and code 130. So is a file that the system refuses, wherever that shows
    (``SYSTEM_REFUSALS``), and a name that is not UTF-8 where a library takes no other: code 1. Any other exception is a
    fault of the project and keeps its traceback.
    """

    @functools.wraps(function)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        # Where one is closed, nothing comes from it, and what would be printed goes nowhere, as in Python's own print.
        for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
            if getattr(sys, name) is None:
                setattr(sys, name, Path(os.devnull).open(mode))  # noqa: SIM115  (open until the process ends)
        if isinstance(sys.stdout, io.TextIOWrapper):
            # What the terminal's encoding lacks is printed as an escape, which stderr does by itself.
            sys.stdout.reconfigure(errors="backslashreplace")
        try:
            return function(*args, **kwargs)
        except KeyboardInterrupt:
            typer.echo("interrupted", err=True)
            raise typer.Exit(INTERRUPTED) from None
        except PipelineError as error:
            raise _failed("\n".join([str(error), *getattr(error, "__notes__", ())])) from error
        except UnicodeEncodeError as error:
            if as_text(error.object) == error.object:
                raise
            raise _failed(f"{error.object}: not UTF-8, which is needed here; rename it") from error
        except OSError as error:
            if error.errno not in SYSTEM_REFUSALS:
                raise
            what = "written" if error.errno in NOT_WRITABLE else "read or written"
            # Of a copy the second is what could not be written.
            name = error.filename2 or error.filename or "a file or the standard output"
            raise _failed(str(storage_error(name, error, what))) from error

    return wrapped


class ReportedCommand(TyperCommand):
    """A program of one command whose help page, too, is printed or ends with one message."""

    def main(self, *args: Any, **kwargs: Any) -> Any:
        """Run it."""
        return _ended(super().main)(*args, **kwargs)


class ReportedGroup(TyperGroup):
    """The same for a program of several commands."""

    def main(self, *args: Any, **kwargs: Any) -> Any:
        """Run it."""
        return _ended(super().main)(*args, **kwargs)


def _ended(main: Callable[P, R]) -> Callable[P, R]:
    """A program's ``main`` with its errors as one message: help is printed before any command runs."""
    reported = report_errors(main)

    @functools.wraps(main)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return reported(*args, **kwargs)
        except typer.Exit as end:
            sys.exit(end.exit_code)

    return wrapped


def _failed(message: str) -> typer.Exit:
    """The end of a command, after its message."""
    typer.echo(f"error: {as_text(message)}", err=True)
    return typer.Exit(1)


def run(main: Callable[..., None]) -> None:
    """Run a stage with arguments from the command line; without any, for the data set that DVC names.

    In one project a stage runs once at a time: two would write the same files.

    dvc.yaml writes no name into its commands: a shell would read ``x; rm …`` in params.yaml as two commands.

    Args:
        main: the stage; its arguments become those of the command line.
    """
    gc.freeze()
    gc.set_threshold(*GARBAGE_THRESHOLDS)
    gc.enable()
    logging.getLogger(HINT_LOGGER).setLevel(logging.WARNING)
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    arguments = sys.argv[1:] or (_named_by_dvc() if inspect.signature(main).parameters else [])
    app.command(cls=ReportedCommand)(report_errors(_once_at_a_time(main, arguments)))
    try:
        app(arguments)
    except SystemExit as end:
        _leave(end.code)


def _once_at_a_time(main: Callable[P, R], arguments: Sequence[str]) -> Callable[P, R]:
    """``main``, refused with a ``StorageError`` while another process runs it with the same arguments in this folder.

    Processes that train together run the same program; the first one has the lock for them. It is the one that starts
    the others; under torchrun, which counts the processes of all machines by RANK, it is that of the first machine.
    """
    if os.environ.get("RANK", os.environ.get("LOCAL_RANK", "0")) != "0":
        return main
    stage = "@".join([Path(inspect.getfile(main)).stem, *(each for each in arguments if each != "--")])

    @functools.wraps(main)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        _require_path_for_dvc(Path.cwd())
        with exclusive(Path.cwd() / stage):
            return main(*args, **kwargs)

    return wrapped


def _require_path_for_dvc(project: Path) -> None:
    """Refuse a project in which DVC runs a stage, and then fails where it shows the path of its cache.

    Raises:
        PipelineError: the path has braces, which DVC's progress bars take for fields to be filled in.
    """
    if "DVC_STAGE" in os.environ and set("{}") & set(str(project)):
        raise PipelineError(
            f"{as_text(project)}: DVC fails in folders whose path has {{ or }}; move or rename the folder"
        )


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
