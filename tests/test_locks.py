"""Locks: one process at a time, let go of by any end, and the same for every user of a machine."""

import os
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from pipeline.errors import StorageError
from pipeline.locks import exclusive, processes_allowed

ROOT = Path(__file__).parents[1]
NOBODY = 65534


@pytest.fixture
def shared(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A temporary folder of all users, as the system's is. Not in pytest's, which only its owner may enter."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o1777)
        monkeypatch.setattr(tempfile, "tempdir", folder)
        yield Path(folder)


def test_one_process_at_a_time_works_on_a_folder_and_a_killed_one_lets_go(tmp_path: Path) -> None:
    program = "import sys, time; from pathlib import Path; from pipeline.locks import exclusive\n"
    program += "with exclusive(Path(sys.argv[1])): print('mine', flush=True); time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", program, str(tmp_path)], stdout=subprocess.PIPE, cwd=ROOT) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"mine\n"
        told = rf": process {other.pid} \(since \d\d:\d\d: .*\) is using it; wait for it, or .*kill {other.pid}"
        with pytest.raises(StorageError, match=told), exclusive(tmp_path):
            pass
        with exclusive(tmp_path / "another"):
            pass
        other.kill()
        other.wait()
    with exclusive(tmp_path):
        pass


def test_a_lock_can_be_taken_by_every_user_whatever_its_first_ones_umask(shared: Path, tmp_path: Path) -> None:
    umask = os.umask(0o077)
    try:
        with exclusive(tmp_path):
            pass
    finally:
        os.umask(umask)
    assert [stat.S_IMODE(path.stat().st_mode) for path in shared.iterdir()] == [0o644]


def hold(place: Path, said: Connection) -> None:
    """As another user: take the lock, say so, and keep it until told to end."""
    os.setgid(NOBODY)
    os.setuid(NOBODY)
    try:
        with exclusive(place):
            said.send("mine")
            said.recv()
    except StorageError as error:
        said.send(str(error))


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can become another user")
def test_another_user_takes_a_lock_and_is_waited_for(shared: Path) -> None:
    place = Path("/srv/a project that both users see")
    context = get_context("fork")
    with exclusive(place):
        pass
    own, other = context.Pipe()
    process = context.Process(target=hold, args=(place, other))
    process.start()
    assert own.recv() == "mine"
    with (
        pytest.raises(StorageError, match=rf"{place}: process {process.pid} \(since .*\) is using it"),
        exclusive(place),
    ):
        pass
    process.kill()  # and its note stays
    process.join()
    with exclusive(place):
        process = context.Process(target=hold, args=(place, other))
        process.start()
        assert f"process {os.getpid()} (since" in own.recv()
        process.join()
    assert len([*shared.glob("*.json")]) == 1


def test_a_folder_whose_name_is_not_utf8_is_locked_as_any_other(tmp_path: Path) -> None:
    place = tmp_path / os.fsdecode(b"out\xe9")
    with exclusive(place), pytest.raises(StorageError, match="is using it"), exclusive(place):
        pass


def test_without_shared_memory_one_process_works_and_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    context = get_context("spawn")
    assert processes_allowed(4, context) == 4

    def refuse() -> None:
        raise FileNotFoundError(2, "No such file or directory")

    monkeypatch.setattr(context, "Lock", refuse)
    assert processes_allowed(4, context) == 1
    assert "using one process instead of 4" in capsys.readouterr().err
    assert processes_allowed(1, context) == 1
    assert capsys.readouterr().err == ""


NO_LOCKS = """
import multiprocessing.synchronize, _multiprocessing, os, sys

def refuse(*_, **__):
    raise FileNotFoundError(2, "No such file or directory")

multiprocessing.synchronize._multiprocessing.SemLock = _multiprocessing.SemLock = refuse
from pipeline.locks import importing_joblib
if sys.argv[1:]:
    import joblib
with importing_joblib():
    import joblib
assert "JOBLIB_MULTIPROCESSING" not in os.environ
print(joblib.__name__)
"""


def test_joblib_does_not_warn_where_there_is_no_shared_memory() -> None:
    run = [sys.executable, "-c", NO_LOCKS]
    done = subprocess.run(run, cwd=ROOT, capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("joblib\n", "")
    done = subprocess.run([*run, "by itself"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert "joblib will operate in serial mode" in done.stderr  # so the case is the one that it warns of


TEAM = """
import os, signal, time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pipeline.locks import out_of_reach_of_ctrl_c

if __name__ == "__main__":
    with ProcessPoolExecutor(2, get_context("spawn")) as pool:
        try:
            with out_of_reach_of_ctrl_c():
                works = pool.map(time.sleep, [0.1] * 50)
                os.killpg(0, signal.SIGINT)  # as a terminal does, while the processes are loading
                time.sleep(1)
                print("deferred", flush=True)
            list(works)
        except KeyboardInterrupt:
            print("interrupted", flush=True)
            pool.shutdown(cancel_futures=True)
"""


@pytest.mark.skipif(os.name == "nt", reason="its Ctrl-C is no signal")
def test_ctrl_c_reaches_the_parent_alone_and_when_its_processes_are_started(tmp_path: Path) -> None:
    (tmp_path / "team.py").write_text(TEAM)
    done = subprocess.run(
        [sys.executable, str(tmp_path / "team.py")],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        start_new_session=True,
        timeout=120,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "deferred\ninterrupted\n", "")
