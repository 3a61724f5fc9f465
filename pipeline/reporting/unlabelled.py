"""What reports/tables.md says without the target's labels: of each adaptation, and of when to stop it."""

from collections.abc import Sequence

from pipeline.reporting.markdown import NOTHING, ORACLE, markdown_table, marked, oracle_cell, percent, section
from pipeline.reporting.records import Result
from pipeline.reporting.titles import dataset_title, method_title
from pipeline.validators import LAST, VALIDATORS


def judged_section(results: Sequence[Result]) -> str:
    """What each adaptation looks like to one who has no labels of the target."""
    if not results[0].adapts:
        return ""
    head = ["Target", "", "entropy", "information", "neighbourhood density", "source accuracy", "verdict"]
    rows = []
    for result in results:
        judged = result.unlabelled
        for name, found in (("before (DT)", judged.before), (f"after ({method_title(result)})", judged.after)):
            values = (found.entropy, found.information, found.neighbourhood_density)
            cells = [marked(f"{value:.3f}", result) for value in values]
            verdict = _verdict(result) if found is judged.after else ""
            rows.append([dataset_title(result.target), name, *cells, percent(found.source_accuracy, result), verdict])
    notes = [
        "No label of a target is behind this table. Entropy of the predictions (natural logarithms; less is surer); "
        "information: entropy of the mean prediction less that, high where pictures are predicted surely and the whole "
        "variedly (Shi and Sha, ICML 2012); soft neighbourhood density of the embeddings (Saito et al., ICCV 2021); "
        "accuracy (%) on up to 1,000 of the source's test pictures. *doubtful*: information fell, so the adapted model "
        "tells the target's pictures apart less well than the source model did; look before you use it."
    ]
    return section("Judged without the target's labels", markdown_table(head, rows, left=2), notes)


def _verdict(result: Result) -> str:
    """Whether the adaptation looks as if it had hurt."""
    judged = result.unlabelled
    return "**doubtful**" if judged.after.information < judged.before.information else "no sign of harm"


def choices_section(results: Sequence[Result]) -> str:
    """The accuracy at the epoch that each validator would have stopped at, beside the last and the oracle."""
    chosen = [result for result in results if result.adapted() and result.unlabelled.choices]
    if not chosen:
        return ""
    titles = [validator.title for validator in VALIDATORS]
    rows = []
    for result in chosen:
        last = result.unlabelled.choices[LAST]
        # A result that was made before a validator came has no choice of it.
        choices = [result.unlabelled.choices.get(validator.name) for validator in VALIDATORS]
        cells = [f"{percent(one.accuracy, result)} (epoch {one.epoch})" if one else NOTHING for one in choices]
        rows.append([dataset_title(result.target), percent(last.accuracy, result), *cells, oracle_cell(result)])
    origins = "; ".join(f"{validator.title}: {validator.origin}" for validator in VALIDATORS)
    notes = [
        "Accuracy (%) of the epoch, 0 being direct transfer, that looks best without a label of the target: by the "
        "predictions for at most 500 of its training pictures and at most 500 of the source's test pictures. The "
        f"last epoch is the score unless `adapt.choose` names one of these. ({origins}.)"
    ]
    return section("Choosing an epoch without labels", markdown_table(["Target", "last", *titles, ORACLE], rows), notes)
