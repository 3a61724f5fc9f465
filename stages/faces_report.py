"""The faces-report stage: what became of every picture, in numbers and for the eye."""

from pipeline import layout, params
from pipeline.reporting.faces_report import write_faces_report
from pipeline.stage import run


def main() -> None:
    """The crop stores of the source and the targets -> reports/faces.md and reports/contact-sheets."""
    settings = params.load()
    stores = {name: layout.crops(name) for name in (settings.source, *settings.targets)}
    write_faces_report(stores, layout.FACES_MARKDOWN, layout.CONTACT_SHEETS)


if __name__ == "__main__":
    run(main)
