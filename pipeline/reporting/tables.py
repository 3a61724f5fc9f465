"""The text of reports/tables.md, section by section. The score that counts is the last epoch's."""

from collections.abc import Sequence

from pipeline.config.schema import Params
from pipeline.reporting import protocol
from pipeline.reporting.comparisons import ablation_section, comparison_section, further_section
from pipeline.reporting.measured import calibration_section, f1_section, targets_section
from pipeline.reporting.paper_tables import TABLE_1, TABLE_2
from pipeline.reporting.records import Result, SourceMetrics
from pipeline.reporting.studied import Studied, studies_section
from pipeline.reporting.titles import dataset_title
from pipeline.reporting.unlabelled import choices_section, judged_section


def render(
    results: Sequence[Result],
    source: SourceMetrics,
    figures: Sequence[tuple[str, Sequence[str]]],
    paper: Params,
    studies: Sequence[Studied] = (),
) -> str:
    """The whole report as Markdown.

    Args:
        results: one per target, all of one configuration, at least one.
        source: the source model's score on its own test part.
        figures: per target, the paths of its figures relative to the report; none: no section of figures.
        paper: the parameters of the paper's protocol.
        studies: those that were collected.
    """
    by_target = {result.target: result for result in results}
    in_paper = {*TABLE_1.targets, *TABLE_2.targets}
    sections = [
        "# Cross-domain facial expression recognition: results",
        protocol.describe(results, source, paper),
        comparison_section(TABLE_1, by_target, studies),
        comparison_section(TABLE_2, by_target, studies),
        further_section([result for result in results if result.target not in in_paper], studies),
        ablation_section(by_target, studies),
        targets_section(results),
        judged_section(results),
        choices_section(results),
        calibration_section(results),
        f1_section(results),
        _figures_section(figures),
        studies_section(studies, "studies"),
    ]
    return "\n\n".join(section for section in sections if section) + "\n"


def _figures_section(figures: Sequence[tuple[str, Sequence[str]]]) -> str:
    parts = ["## Figures"] if figures else []
    for target, paths in figures:
        parts.append(f"### {dataset_title(target)}")
        parts += [f"![{_figure_caption(path, dataset_title(target))}]({path})" for path in paths]
    return "\n\n".join(parts)


def _figure_caption(path: str, title: str) -> str:
    captions = {
        "fig2b": "F1 per class",
        "confusion": "Confusion matrices",
        "fig3": "t-SNE of the features",
        "reliability": "Reliability",
        "training": "Adaptation by epoch",
    }
    return f"{captions[path.rsplit('/', 1)[-1].split('_', 1)[0]]}: {title}"
