"""Servers of a team, each really started, on a free port of this machine."""

import asyncio
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import asyncssh
import pytest

PATIENCE = 120
"""Seconds until a server must answer."""


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@contextmanager
def serving(command: Sequence[str], answers: str, log: Path, variables: Mapping[str, str]) -> Iterator[None]:
    """Start a server as a process group of its own, and end it.

    answers: an address that it answers when it is ready.
    """
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            env={**os.environ, **variables},
            stdout=output,
            stderr=output,
            cwd=log.parent,
            start_new_session=True,
        )
    try:
        deadline = time.monotonic() + PATIENCE
        while not _answered(answers):
            assert process.poll() is None, log.read_text()[-3000:]
            assert time.monotonic() < deadline, log.read_text()[-3000:]
            time.sleep(0.1)
        yield
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@contextmanager
def postgresql() -> Iterator[str]:
    """A PostgreSQL with the empty database and the user that docs/team.md makes; yields its address for SQLAlchemy.

    The test is skipped where PostgreSQL is not installed.
    """
    programs, owner = _postgresql_programs(), _postgresql_owner()
    # Not in pytest's folder: only its owner may enter that.
    with TemporaryDirectory(prefix="postgresql-") as folder:
        if owner:
            shutil.chown(folder, owner)

        def run(program: str, *arguments: str) -> None:
            command = (str(programs / program), *arguments)
            with (Path(folder) / "commands.log").open("ab") as log:  # no pipe: the server would keep it open
                ended = subprocess.run(command, user=owner, cwd=folder, stdout=log, stderr=log, check=False)
            assert ended.returncode == 0, "\n".join(path.read_text() for path in Path(folder).glob("*.log"))

        port, password = free_port(), secrets.token_hex(8)
        data = ("--pgdata", f"{folder}/data")
        options = f"-c listen_addresses=127.0.0.1 -p {port} -k {folder} -F"
        run("initdb", *data, "--username", "postgres", "--auth-local", "trust", "--auth-host", "scram-sha-256")
        run("pg_ctl", "start", *data, "--wait", "--log", f"{folder}/server.log", "--options", options)
        try:
            as_owner = ("--host", folder, "--port", str(port), "--username", "postgres")
            run("psql", *as_owner, "--command", f"CREATE ROLE mlflow LOGIN PASSWORD '{password}'")
            run("createdb", *as_owner, "--owner", "mlflow", "mlflow")
            yield f"postgresql+psycopg://mlflow:{password}@127.0.0.1:{port}/mlflow"
        finally:
            run("pg_ctl", "stop", *data, "--mode", "fast")


@contextmanager
def s3(log: Path, bucket: str) -> Iterator[str]:
    """moto's S3 with an empty bucket; yields its address."""
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    command = (sys.executable, "-m", "moto.server", "--host", "127.0.0.1", "--port", str(port))
    with serving(command, f"{address}/moto-api/", log, {}):
        urllib.request.urlopen(urllib.request.Request(f"{address}/{bucket}", method="PUT")).close()
        yield address


@contextmanager
def ssh(root: Path, key: Path) -> Iterator[int]:
    """asyncssh's server, with SFTP alone, for whoever has the new private ``key``; yields its port.

    root: where the paths of its files begin.
    """
    own = asyncssh.generate_private_key("ssh-ed25519")
    own.write_private_key(key)

    async def listen() -> asyncssh.SSHAcceptor:
        return await asyncssh.listen(
            "127.0.0.1",
            server_host_keys=[asyncssh.generate_private_key("ssh-ed25519")],
            authorized_client_keys=asyncssh.import_authorized_keys(own.export_public_key().decode()),
            sftp_factory=lambda channel: asyncssh.SFTPServer(channel, chroot=os.fsencode(root)),
        )

    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        yield asyncio.run_coroutine_threadsafe(listen(), loop).result(PATIENCE).get_port()
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()


def _answered(address: str) -> bool:
    with suppress(OSError), urllib.request.urlopen(address, timeout=5):
        return True
    return False


def _postgresql_programs() -> Path:
    """The folder of the newest PostgreSQL among Debian's packages, or of the one on the path."""
    packaged = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    found = packaged[-1] if packaged else shutil.which("initdb")
    if found is None:
        pytest.skip("PostgreSQL is not installed (Debian: apt-get install postgresql)")
    return Path(found).resolve().parent


def _postgresql_owner() -> str | None:
    """Who PostgreSQL runs as: it refuses to be root. None: who runs the tests."""
    if os.geteuid() != 0:
        return None
    try:
        return pwd.getpwnam("postgres").pw_name
    except KeyError:
        pytest.skip("PostgreSQL does not run as root, and there is no user postgres")
