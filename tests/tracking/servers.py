"""A real MLflow server of a test's own, which can be killed and started again."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from urllib.error import URLError

START = 120
"""Seconds that a server may take to start on a busy machine."""


class Server:
    """Keeps everything below ``folder``; always at the same address. bucket: where clients write files themselves."""

    def __init__(self, folder: Path, bucket: str | None = None) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.uri = f"http://127.0.0.1:{self.port}"
        self._folder = folder
        self._files = ["--artifacts-destination", str(folder / "artifacts")]
        if bucket:
            self._files = ["--no-serve-artifacts", "--default-artifact-root", bucket]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and wait until it answers."""
        options = {
            "--backend-store-uri": f"sqlite:///{self._folder / 'server.db'}",
            "--port": str(self.port),
            "--workers": "1",
        }
        environment = {key: value for key, value in os.environ.items() if not key.startswith("MLFLOW_")}
        environment |= {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
        command = [
            sys.executable,
            "-m",
            "mlflow",
            "server",
            *(word for pair in options.items() for word in pair),
            *self._files,
        ]
        with (self._folder / "server.log").open("ab") as log:
            self._process = subprocess.Popen(
                command, cwd=self._folder, env=environment, stdout=log, stderr=log, start_new_session=True
            )
        until = time.monotonic() + START
        while not self._answers():
            assert time.monotonic() < until, (self._folder / "server.log").read_text()[-4000:]
            assert self._process.poll() is None, (self._folder / "server.log").read_text()[-4000:]
            time.sleep(0.1)

    def kill(self) -> None:
        """As a crash does: it and its workers end at once."""
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.uri}/health", timeout=5) as answer:
                return bool(answer.status == 200)
        except (URLError, OSError):
            return False
