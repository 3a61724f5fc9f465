"""Running stages and commands: typed arguments from the command line, and user errors as one message."""

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
from pipeline.registry import wrong_import

GARBAGE_THRESHOLDS = 50_000, 20, 20
"""Thresholds of Python's garbage collector: stages create little garbage, but libraries a million objects to scan."""

NOT_WRITABLE = {
    *(errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.EFBIG),
    *(errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ENOTEMPTY),
}
SYSTEM_REFUSALS = NOT_WRITABLE | {
    *(errno.EACCES, errno.EPERM, errno.EIO, errno.ESTALE, errno.ETIMEDOUT),
    *(errno.ELOOP, errno.ENAMETOOLONG, errno.EMFILE, errno.ENFILE, errno.EBUSY),
}
"""Error numbers of files that cannot be written or read, for which the program is not at fault."""

INTERRUPTED = 130
"""The exit code after Ctrl-C, as in shells."""

HINT_LOGGER = "lightning_fabric.utilities.rank_zero"
"""A logger with a recommendation, on GPUs with tensor cores, that ``compute.precision`` makes unnecessary."""

P = ParamSpec("P")
R = TypeVar("R")


def report_errors(function: Callable[P, R]) -> Callable[P, R]:
    """Wrap a command: a ``PipelineError`` is printed to stderr as one message and ends the process with code 1.

    The same applies to system errors of files (``SYSTEM_REFUSALS``), and to names that are not UTF-8 if a library
    requires UTF-8, and to a registry's line that imports what is not there. Ctrl-C prints one line and gives code 130.
    Any other exception is a bug and keeps its traceback.
    """

    @functools.wraps(function)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        # Replace closed streams by /dev/null: Python's print ignores them as well.
        for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
            if getattr(sys, name) is None:
                setattr(sys, name, Path(os.devnull).open(mode))  # noqa: SIM115  (open until the process ends)
        if isinstance(sys.stdout, io.TextIOWrapper):
            # Escape characters that the terminal's encoding lacks, as stderr does by default.
            sys.stdout.reconfigure(errors="backslashreplace")
        try:
            return function(*args, **kwargs)
        except KeyboardInterrupt as interrupt:
            typer.echo("; ".join(["interrupted", *map(str, interrupt.args)]), err=True)
            raise typer.Exit(INTERRUPTED) from None
        except PipelineError as error:
            raise _failed("\n".join([str(error), *getattr(error, "__notes__", ())])) from error
        except ImportError as error:
            if (reason := wrong_import(error)) is None:
                raise
            raise _failed(reason) from error
        except UnicodeEncodeError as error:
            if as_text(error.object) == error.object:
                raise
            raise _failed(f"{error.object}: not UTF-8, which is needed here; rename it") from error
        except OSError as error:
            if error.errno not in SYSTEM_REFUSALS:
                raise
            what = "written" if error.errno in NOT_WRITABLE else "read or written"
            # For a copy, the second file name is the one that cannot be written.
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
        except SystemExit as end:
            # Where Ctrl-C comes before or after the command itself, typer gives its code and says nothing.
            if isinstance(getattr(end.__context__, "__cause__", None), KeyboardInterrupt):
                typer.echo("interrupted", err=True)
            raise

    return wrapped


def _failed(message: str) -> typer.Exit:
    """Print an error message, and return the exception that ends the command."""
    typer.echo(f"error: {as_text(message)}", err=True)
    return typer.Exit(1)


def run(main: Callable[..., None]) -> None:
    """Run a stage with arguments from the command line, or, without any, for the data set in ``DVC_STAGE``.

    dvc.yaml has no names in its commands, because a shell would execute ``x; rm …`` from params.yaml.

    A stage of a project runs only once at a time, because two processes would write the same files.

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
    """Wrap ``main`` in a lock: it raises ``StorageError`` while another process runs it here with the same arguments.

    Of several processes that train together, only the first takes the lock: the one that starts the others, or, under
    torchrun, the one with RANK 0.
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
    """Check the project's path: DVC would run the stage and then fail when it shows the path of its cache.

    Raises:
        PipelineError: the path contains braces, which DVC's progress bars treat as format fields.
    """
    if "DVC_STAGE" in os.environ and set("{}") & set(str(project)):
        raise PipelineError(
            f"{as_text(project)}: DVC fails in folders whose path has {{ or }}; move or rename the folder"
        )


def _leave(code: str | int | None) -> None:
    """End the process immediately: destroying PyTorch's objects one by one would take two seconds."""
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code if isinstance(code, int) else 0)


def _named_by_dvc() -> list[str]:
    """Return the data set of the stage that DVC runs: "ckplus" for "adapt@ckplus"."""
    _, at, name = os.environ.get("DVC_STAGE", "").partition("@")
    return ["--", name] if at else []
