"""The faces-report stage: how many faces were found and cropped, in tables and contact sheets."""

from pipeline.command_line import run
from pipeline.config import paths
from pipeline.config.load import load
from pipeline.reporting.faces_report import write_faces_report


def main() -> None:
    """Write reports/faces.md and reports/contact-sheets from the crops of the source and the targets."""
    settings = load()
    stores = {name: paths.crops(name) for name in (settings.source, *settings.targets)}
    write_faces_report(stores, paths.FACES_MARKDOWN, paths.CONTACT_SHEETS, in_project=True)


if __name__ == "__main__":
    run(main)
