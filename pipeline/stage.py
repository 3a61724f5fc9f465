"""How a stage or command runs: typed arguments from the command line, user errors as one message."""

import functools
from collections.abc import Callable
from typing import ParamSpec, TypeVar

import typer

from pipeline.errors import PipelineError

P = ParamSpec("P")
R = TypeVar("R")


def reported(function: Callable[P, R]) -> Callable[P, R]:
    """Wrap a command: a ``PipelineError`` is printed to stderr as one message and ends the process with code 1.

    Any other exception is a fault of the project and keeps its traceback.
    """

    @functools.wraps(function)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return function(*args, **kwargs)
        except PipelineError as error:
            typer.echo(f"error: {error}", err=True)
            raise typer.Exit(1) from error

    return wrapped


def run(main: Callable[..., None]) -> None:
    """Run a stage's ``main`` with arguments from the command line."""
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command()(reported(main))
    app()
