"""The faces-report stage: what became of every picture, in numbers and for the eye."""

from pipeline.command_line import run
from pipeline.config import paths
from pipeline.config.load import load
from pipeline.reporting.faces_report import write_faces_report


def main() -> None:
    """The crop stores of the source and the targets -> reports/faces.md and reports/contact-sheets."""
    settings = load()
    stores = {name: paths.crops(name) for name in (settings.source, *settings.targets)}
    write_faces_report(stores, paths.FACES_MARKDOWN, paths.CONTACT_SHEETS, in_project=True)


if __name__ == "__main__":
    run(main)
