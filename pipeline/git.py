"""Git, asked about the project in the current folder, which may lie below the root of its repository."""

import subprocess
from pathlib import Path

from pipeline.errors import PipelineError


class GitError(PipelineError):
    """Git is not installed, there is no repository, or git refuses; the message is git's own."""


def git(*arguments: str) -> str:
    """What a git command prints, as text.

    Paths in arguments and answers count from the current folder where git's own commands do so: not in
    ``REVISION:PATH``, which needs ``REVISION:./PATH``, nor in ``git status --porcelain``.

    Raises:
        GitError: it cannot be run, or fails.
    """
    try:
        ran = subprocess.run(["git", *arguments], capture_output=True, check=True)
    except OSError as error:
        raise GitError(f"git cannot be run: {error.strerror}") from error
    except subprocess.CalledProcessError as error:
        said = error.stderr.decode(errors="replace").strip()
        raise GitError(f"git {arguments[0]}: {said or f'exit code {error.returncode}'}") from error
    # Names may hold any bytes.
    return ran.stdout.decode(errors="surrogateescape")


def under_git() -> bool:
    """Whether the current folder lies in a repository, as far as the file system says: git may refuse to use it."""
    here = Path.cwd()
    return any((folder / ".git").exists() for folder in (here, *here.parents))
