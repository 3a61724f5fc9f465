"""Locks: one process of this machine at a time on a piece of work, and those that several processes share."""

import hashlib
import os
import shlex
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import get_all_start_methods, get_context, resource_tracker
from multiprocessing.context import BaseContext
from pathlib import Path

from filelock import lock_descriptor

from pipeline.errors import StorageError
from pipeline.files.atomic import storage_errors
from pipeline.files.io import read_json, write_json
from pipeline.files.temporary import temporary_root

JOBLIB_SWITCH = "JOBLIB_MULTIPROCESSING"
"""The variable by which joblib is told whether it may have processes."""


@contextmanager
def exclusive(place: Path) -> Iterator[None]:
    """Let one process of this machine at a time work on something; the end of a process, of any kind, lets go of it.

    Args:
        place: a folder, or a path that stands for a piece of work.

    Raises:
        StorageError: another process works on it, and is named; or the system's temporary folder cannot be written.
    """
    name = hashlib.sha256(os.fsencode(place.resolve())).hexdigest()[:16]
    path = temporary_root() / f"pocan-{name}.lock"
    with storage_errors(path):
        lock = _opened(path)
    try:
        with storage_errors(path):
            taken = lock_descriptor(lock, blocking=False)
        if not taken:
            raise StorageError(f"{place}: {_holder(path)}")
        # A note for each user: what another one's killed process has left may not be replaced.
        note = path.with_suffix(f".{os.getuid() if hasattr(os, 'getuid') else 0}.json")
        try:
            write_json(note, {"pid": os.getpid(), "since": time.strftime("%H:%M"), "command": shlex.join(sys.argv)})
            yield
        finally:
            note.unlink(missing_ok=True)
    finally:
        os.close(lock)


def processes_allowed(wanted: int, context: BaseContext) -> int:
    """How many processes can share a piece of work.

    They need locks in common, which Linux keeps in /dev/shm. Some containers have none, or one that cannot be written.

    Args:
        wanted: how many are wanted.
        context: how they are started.

    Returns:
        ``wanted``; or 1, which is said on stderr, where the system refuses such locks.
    """
    if wanted > 1 and (refusal := _refusal(context)):
        print(f"one process instead of {wanted}, as they could share no lock in /dev/shm ({refusal})", file=sys.stderr)
        return 1
    return wanted


def available_cores() -> int:
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def out_of_reach_of_ctrl_c() -> Iterator[None]:
    """Within, processes are started that Ctrl-C does not reach: their parent ends them.

    A terminal sends it to all processes of a command, and each would print where it was.

    Raises:
        KeyboardInterrupt: at the end, where it came within: a parent that left before would take from the processes
            what they are about to share with it.
    """
    if not hasattr(signal, "pthread_sigmask") or threading.current_thread() is not threading.main_thread():
        yield  # Windows has no masks that processes inherit; handlers belong to the main thread
        return
    resource_tracker.ensure_running()  # now: where it is started, it lets the signal through again
    came: list[int] = []
    handler = signal.signal(signal.SIGINT, lambda number, _: came.append(number))  # it may reach any thread
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        signal.signal(signal.SIGINT, handler)
    if came:
        raise KeyboardInterrupt


@contextmanager
def importing_joblib() -> Iterator[None]:
    """Within, the import of joblib, and of what imports it, does not look for locks that the system refuses.

    joblib would warn of them, though nothing here uses its processes. Where there are locks, it finds them.
    """
    methods = get_all_start_methods()
    # Of a fork's lock no process need keep count.
    if "joblib" in sys.modules or not _refusal(get_context("fork" if "fork" in methods else methods[0])):
        yield
        return
    before = os.environ.get(JOBLIB_SWITCH)
    os.environ[JOBLIB_SWITCH] = "0"
    try:
        yield
    finally:
        if before is None:
            del os.environ[JOBLIB_SWITCH]
        else:
            os.environ[JOBLIB_SWITCH] = before


def _refusal(context: BaseContext) -> Exception | None:
    """Why processes can share no lock; None: they can."""
    try:
        context.Lock()
    except (OSError, ImportError) as error:
        return error
    return None


def _opened(path: Path) -> int:
    """A descriptor of the file, which is made where there is none. It is never removed.

    A process that still holds a removed file open would not exclude one that makes the file again.
    It is opened for reading, which every user may: only the one who made it may write it or open it with O_CREAT.
    """
    while True:
        try:
            return os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0))
        except FileNotFoundError:
            try:
                path.touch(exist_ok=False)
                path.chmod(0o644)  # whatever the umask
            except FileExistsError:
                continue  # another process made it in this moment


def _holder(path: Path) -> str:
    """Which process has a lock, as it has noted, and what to do."""
    try:
        # Older ones are of processes that were killed.
        note = max(path.parent.glob(f"{path.stem}.*.json"), key=lambda note: note.stat().st_mtime_ns)
        said = read_json(note)
        pid = said["pid"]
        who = f"process {pid} (since {said['since']}: {said['command']}) is at work there"
    except (OSError, ValueError, TypeError, KeyError):  # it has the lock since this very moment, and not yet noted
        return "another process is at work there; wait for it, or name another folder"
    return f"{who}; wait for it, or end it (kill {pid}: what it has done is kept)"
