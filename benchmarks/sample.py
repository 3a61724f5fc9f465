"""Put a sample of the demo's output into docs/demo: its tables, a figure, and screenshots of the page and of MLflow.

make demo && python -m benchmarks.sample

Needs a Chromium (apt install chromium). It is run in the project after the demo and reads reports/ and mlflow.db.
"""

import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.error import URLError
from urllib.request import urlopen

from pipeline.config import paths
from pipeline.config.load import load
from pipeline.errors import PipelineError
from pipeline.files.io import write_text
from pipeline.labels import DRAWN_MARK
from pipeline.tracking.descriptions import VIEW_NAME

if TYPE_CHECKING:
    from playwright.sync_api import Browser

DOCS = Path(__file__).parents[1] / "docs"
DEMO = DOCS / "demo"
FIGURE_OF = "oulu"
"""The target of the figure; it has at least thirty test pictures of each expression."""

VIEW = f"runs?workflowType=machine_learning&viewStateShareKey={VIEW_NAME}"
ASSISTANT = "[data-component-id='mlflow.assistant.chat_panel.close']"
START_SECONDS = 120


def main() -> None:
    """Write all files of the sample."""
    drawn = set(load().standins.sets)
    if not {load().source, *load().targets} <= drawn:
        raise PipelineError("the sample is of the demo, whose sets are drawn: run it with the parameters of the demo")
    DEMO.mkdir(exist_ok=True)
    write_text(DEMO / "tables.md", sample_of(paths.TABLES.read_text(encoding="utf-8")))
    shutil.copy(paths.figure(FIGURE_OF, "fig2b"), DEMO / "f1.png")
    with browser() as opened:
        shoot(opened, paths.PAGE.resolve().as_uri(), DEMO / "page.png", (1280, 900), 3)
        with mlflow_pages() as address:
            shoot(opened, f"{address}/#/experiments/1/{VIEW}", DEMO / "mlflow.png", (1500, 480), 15)


def sample_of(tables: str) -> str:
    """Return the tables without figures, and with a note on their origin."""
    text, _, _ = tables.partition("\n## Figures\n")
    title, _, rest = text.partition("\n")
    note = (
        f"*A sample of what `make demo` writes, measured on drawn faces {DRAWN_MARK}. Made by "
        "`python -m benchmarks.sample`; your own run writes reports/tables.md, with figures.*"
    )
    # Links lead to files of reports/, which are not here.
    rest = re.sub(r"!?\[([^\]]+)\]\((?!https?:)[^)]+\)", r"\1", rest).rstrip()
    return f"{title}\n\n{note}\n{rest}\n"


@contextmanager
def browser() -> Iterator["Browser"]:
    """Start a headless Chromium."""
    from playwright.sync_api import sync_playwright

    path = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if path is None:
        raise PipelineError("there is no Chromium here: apt install chromium")
    with sync_playwright() as driver:
        started = driver.chromium.launch(executable_path=path)
        yield started
        started.close()


def shoot(opened: "Browser", address: str, to: Path, size: tuple[int, int], seconds: float) -> None:
    """Save a screenshot of a page.

    Args:
        opened: the browser.
        address: address of the page.
        to: the PNG file.
        size: size of the window, in pixels.
        seconds: waiting time before the screenshot.
    """
    page = opened.new_page(viewport={"width": size[0], "height": size[1]})
    page.goto(address)
    page.wait_for_timeout(1000 * seconds)
    if (assistant := page.locator(ASSISTANT)).count():  # a panel of MLflow's that hides a quarter of the table
        assistant.first.click()
        page.wait_for_timeout(1000)
    page.screenshot(path=to)
    page.close()


@contextmanager
def mlflow_pages() -> Iterator[str]:
    """Serve MLflow's pages of the project's store during the block; yield their address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "mlflow", "ui", "--port", str(port), "--workers", "1"]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    address = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                urlopen(address, timeout=5).close()
                break
            except (URLError, TimeoutError):
                if time.monotonic() > deadline:
                    raise
                time.sleep(1)
        yield address
    finally:
        server.terminate()
        server.wait()


if __name__ == "__main__":
    main()
