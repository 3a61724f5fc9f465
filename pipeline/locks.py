"""Locks between the processes of one machine, and what starting processes needs."""

import hashlib
import os
import shlex
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import connection, get_all_start_methods, get_context, parent_process, resource_tracker
from multiprocessing.context import BaseContext
from pathlib import Path

from filelock import lock_descriptor

from pipeline.errors import StorageError
from pipeline.files.atomic import storage_errors
from pipeline.files.io import read_json, write_json
from pipeline.files.temporary import temporary_root

JOBLIB_SWITCH = "JOBLIB_MULTIPROCESSING"
"""The environment variable that tells joblib whether it may use several processes."""


@contextmanager
def exclusive(place: Path) -> Iterator[None]:
    """Hold a lock that only one process of this machine can have at a time. It is released however the process ends.

    Args:
        place: a folder, or a path that names the work.

    Raises:
        StorageError: another process has the lock, and the message names it; or the temporary folder cannot be written.
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
        # One note per user: a note that another user's killed process has left cannot be replaced.
        note = path.with_suffix(f".{os.getuid() if hasattr(os, 'getuid') else 0}.json")
        try:
            write_json(note, {"pid": os.getpid(), "since": time.strftime("%H:%M"), "command": shlex.join(sys.argv)})
            yield
        finally:
            note.unlink(missing_ok=True)
    finally:
        os.close(lock)


def processes_allowed(wanted: int, context: BaseContext) -> int:
    """Return how many processes can share work.

    They need shared locks, which Linux keeps in /dev/shm. Some containers have no /dev/shm, or a read-only one.

    Args:
        wanted: the number that would be best.
        context: how processes are started.

    Returns:
        ``wanted``; or 1, with a message on stderr, if the system has no shared locks.
    """
    if wanted > 1 and (refusal := _refusal(context)):
        print(f"using one process instead of {wanted}: shared locks in /dev/shm fail ({refusal})", file=sys.stderr)
        return 1
    return wanted


def available_cores() -> int:
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def out_of_reach_of_ctrl_c() -> Iterator[None]:
    """Processes that are started in this block ignore Ctrl-C; their parent ends them.

    A terminal sends Ctrl-C to all processes of a command, and each would print a traceback.

    Raises:
        KeyboardInterrupt: at the end of the block, if Ctrl-C was pressed within it. A parent that ended earlier would
            destroy what its processes are about to use.
    """
    if not hasattr(signal, "pthread_sigmask") or threading.current_thread() is not threading.main_thread():
        yield  # Windows has no inherited signal masks, and only the main thread may set handlers
        return
    resource_tracker.ensure_running()  # start it now, because starting it unblocks the signal
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


def end_with_parent() -> None:
    """Let this process, which another one started, end when that one is killed. It would not notice otherwise."""
    parent = parent_process()
    assert parent is not None
    threading.Thread(target=_end_with, args=(parent.sentinel,), daemon=True).start()


def _end_with(sentinel: int) -> None:
    connection.wait([sentinel])
    os._exit(1)


@contextmanager
def importing_joblib() -> Iterator[None]:
    """Keep joblib, if it is imported in this block, from testing locks on a system without shared locks.

    joblib would print a warning, though nothing here uses its processes. On other systems this does nothing.
    """
    methods = get_all_start_methods()
    # The lock of a forked process needs no resource tracker.
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
    """Return why processes cannot share a lock; None if they can."""
    try:
        context.Lock()
    except (OSError, ImportError) as error:
        return error
    return None


def _opened(path: Path) -> int:
    """Open the lock file, and create it if needed; return its descriptor. The file is never deleted.

    If it were deleted, a process that has the old file open and one that creates a new file would both get the lock.
    It is opened for reading, which every user may do: only the user who created it may write it or use O_CREAT.
    """
    while True:
        try:
            return os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0))
        except FileNotFoundError:
            try:
                path.touch(exist_ok=False)
                path.chmod(0o644)  # whatever the umask
            except FileExistsError:
                continue  # another process has just created it


def _holder(path: Path) -> str:
    """Return which process has the lock, from its note, and what to do."""
    try:
        # Older notes are of killed processes.
        note = max(path.parent.glob(f"{path.stem}.*.json"), key=lambda note: note.stat().st_mtime_ns)
        said = read_json(note)
        pid = said["pid"]
        who = f"process {pid} (since {said['since']}: {said['command']}) is using it"
    except (OSError, ValueError, TypeError, KeyError):  # it has only just got the lock and not yet written its note
        return "another process is using it; wait for it, or name another folder"
    return f"{who}; wait for it, or end it (kill {pid}; finished work is kept)"
