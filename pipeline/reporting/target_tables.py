"""The sections of reports/tables.md on the targets of this run, with and without labels."""

from collections.abc import Sequence
from enum import StrEnum

from pipeline.evaluation.comparison import Comparison, compare
from pipeline.evaluation.records import ChosenEpoch, Metrics, Result, Unlabelled
from pipeline.labels import EXPRESSIONS
from pipeline.reporting.markdown import (
    KEPT_SOURCE,
    NOTHING,
    ORACLE,
    accuracy_cells,
    both_cell,
    difference_text,
    markdown_table,
    marked,
    marks_of,
    oracle_cell,
    percent,
    section,
    share_text,
    signed,
)
from pipeline.reporting.titles import dataset_title, method_title, start_title, step_word
from pipeline.validators import LAST, VALIDATORS, chooser


class Verdict(StrEnum):
    """What the interval of the difference between adaptation and direct transfer says."""

    BETTER = "better than direct transfer"
    WORSE = "worse than direct transfer"
    OPEN = "no clear difference"


def targets_section(results: Sequence[Result]) -> str:
    """Return the table of targets: pictures, accuracies, difference, macro F1, oracle."""
    method = method_title(results[0]) if results[0].adapts else "Adapted"
    head = ["Target", "Train", "Test", "DT", method, f"{method} − DT"]
    head += [
        "balanced DT",
        f"balanced {method}",
        f"balanced {method} − DT",
        "macro F1 DT",
        f"macro F1 {method}",
        ORACLE,
    ]
    notes = [
        "Train and Test are numbers of pictures; accuracy is in per cent, differences in percentage points. Balanced "
        "accuracy is the mean of the classes' recalls: each class counts the same. Brackets hold 95 % intervals; "
        "differences are paired over the same pictures, and their intervals are Student's t with the bootstrap's "
        "variance (docs/studies.md). This is one seed; other seeds give other numbers."
    ]
    if results[0].adapts:
        notes.append(_verdicts(results))
    if acting := [(result, share) for result in results if (share := result.own_share) is not None]:
        shares = (f"{dataset_title(result.target)} {share_text(share, marks_of(result))}" for result, share in acting)
        notes.append(
            "Gradient of the method's own losses on z, in per cent of the gradient of the source's cross entropy (last "
            f"step of each epoch, mean): {'; '.join(shares)}."
        )
    return section("Measured, target by target", markdown_table(head, [_target_row(r) for r in results]), notes)


def _target_row(result: Result) -> list[str]:
    after = result.adapted()
    (dt, balanced_dt), (adapted, balanced_adapted) = (accuracy_cells(result, one) for one in (result.before, after))
    difference, balanced_difference = _difference_cells(result)
    return [
        dataset_title(result.target),
        marked(f"{result.n_train:,}", result),
        marked(f"{result.n_test:,}", result) if result.n_test else "no labels",
        *(dt, adapted, difference),
        *(balanced_dt, balanced_adapted, balanced_difference),
        NOTHING if result.before is None else marked(f"{result.before.macro_f1:.3f}", result),
        NOTHING if after is None else marked(f"{after.macro_f1:.3f}", result),
        oracle_cell(result),
    ]


def _difference_cells(result: Result) -> tuple[str, str]:
    """Return cells of the gains in accuracy and balanced accuracy, with intervals if single predictions are known."""
    before, after = result.before, result.adapted()
    if before is None or after is None:
        return NOTHING, NOTHING
    found = paired_gain(result)
    if found is None:
        points = (after.accuracy - before.accuracy, after.balanced_accuracy - before.balanced_accuracy)
        accuracy, balanced = (marked(signed(100 * one), result) for one in points)
        return accuracy, balanced
    marks = marks_of(result)
    return difference_text(found.accuracy, marks), difference_text(found.balanced_accuracy, marks)


def paired_gain(result: Result) -> Comparison | None:
    """Return the paired gain of adaptation; None without adaptation, single predictions, or several units."""
    tested = result.tested
    if result.adapted() is None or tested is None or len(set(tested.groups)) < 2:
        return None
    return compare(tested.classes("after"), tested.classes("before"), tested.classes("labels"), tested.groups)


def verdict(result: Result) -> Verdict | None:
    """Return whether adaptation is better than direct transfer; None without labels or adaptation."""
    if gain(result) is None:
        return None
    found = paired_gain(result)
    if found is not None and found.accuracy.low > 0:
        return Verdict.BETTER
    if found is not None and found.accuracy.high < 0:
        return Verdict.WORSE
    return Verdict.OPEN


def _verdicts(results: Sequence[Result]) -> str:
    """Say on which targets adaptation is better, worse or neither, as the cards of the page do."""
    told = [(result, found) for result in results if (found := verdict(result)) is not None]
    if not told:
        return "No target has labels, so nobody can say whether adaptation helped."
    tried = [(result, found) for result, found in told if not result.kept_source_model]
    kept = [dataset_title(result.target) for result, _ in told if result.kept_source_model]
    parts = []
    for each in Verdict:
        items = [f"{dataset_title(result.target)} {_points(result)}" for result, found in tried if found is each]
        if items:
            why = " (the 95 % interval contains 0, or there is none)" if each is Verdict.OPEN else ""
            parts.append(
                f"**{each.capitalize()}**{why} on {len(items)} of {len(tried)} labelled targets: {'; '.join(items)}."
            )
    if kept:
        parts.append(f"A label-free rule kept the source model for {', '.join(kept)}.")
    return " ".join(parts)


def _points(result: Result) -> str:
    difference = gain(result)
    assert difference is not None
    return f"{marked(signed(difference), result)} points"


def gain(result: Result) -> float | None:
    """Return accuracy after minus before adaptation, in percentage points; None without labels or adaptation."""
    after = result.adapted()
    if result.before is None or after is None:
        return None
    return 100 * (after.accuracy - result.before.accuracy)


def calibration_section(results: Sequence[Result]) -> str:
    """Return the table of calibration errors."""
    rows = []
    for result in results:
        cells = [marked(f"{result.calibration.temperature:.2f}", result)]
        for errors in (result.calibration.source, result.calibration.target):
            cells += (
                [NOTHING] * 2 if errors is None else [percent(errors.before, result), percent(errors.after, result)]
            )
        rows.append([dataset_title(result.target), *cells])
    head = ["Target", "temperature T", "source without T", "source with T", "target without T", "target with T"]
    notes = [
        "Expected calibration error (%): the difference between confidence and accuracy, in 15 bins (Guo et al., ICML "
        "2017). The temperature T is fitted on the source's test pictures, so their error with T is too low. No label "
        "of a target is used, so a domain shift leaves an error on the target. T changes no decision. data/predictions "
        "has the confidence with T."
    ]
    return section("Calibration", markdown_table(head, rows), notes)


def f1_section(results: Sequence[Result]) -> str:
    """Return the table of F1 by class before and after adaptation, and test pictures by class."""
    rows: list[list[str]] = []
    for result in results:
        title = dataset_title(result.target)
        if result.before is None:
            rows.append([title, "no labels", *[NOTHING] * (len(EXPRESSIONS) + 1)])
            continue
        rows.append([title, "before (DT)", *_f1_cells(result, result.before)])
        if (after := result.adapted()) is not None:
            rows.append([title, f"after ({method_title(result)})", *_f1_cells(result, after)])
        counts = [marked(f"{count:,}", result) for count in result.before.support]
        rows.append([title, "test pictures", *counts, marked(f"{result.n_test:,}", result)])
    table = markdown_table(["Target", "", *EXPRESSIONS, "macro F1 / sum"], rows, left=2)
    notes = [
        "Macro F1 is the mean over the classes in the test part.",
        f"{NOTHING}: no F1, because the class is neither in the test part nor predicted, or the target has no labels.",
    ]
    return section("F1 per class", table, notes)


def _f1_cells(result: Result, metrics: Metrics) -> list[str]:
    cells = [NOTHING if f1 is None else marked(f"{f1:.3f}", result) for f1 in metrics.f1]
    return [*cells, marked(f"{metrics.macro_f1:.3f}", result)]


def unlabelled_section(results: Sequence[Result]) -> str:
    """Return the table of label-free scores."""
    if not results[0].adapts:
        return ""
    head = ["Target", "", "entropy", "mutual information", "neighbourhood density", "source accuracy (%)", "verdict"]
    rows = []
    for result in results:
        scores = result.unlabelled
        for name, found in (("before (DT)", scores.before), (f"after ({method_title(result)})", scores.after)):
            values = (found.entropy, found.information, found.neighbourhood_density)
            cells = [marked(f"{value:.3f}", result) for value in values]
            verdict = _verdict(result) if found is scores.after else ""
            rows.append([dataset_title(result.target), name, *cells, percent(found.source_accuracy, result), verdict])
    notes = [
        "This table uses no label of a target. Entropy: mean entropy of the predictions (natural logarithm; low means "
        "certain). Mutual information: entropy of the mean prediction minus the mean entropy, high if each prediction "
        "is certain and all together are varied (Shi and Sha, ICML 2012). Neighbourhood density: high if most pictures "
        "have many others that are predicted alike (Saito et al., ICCV 2021). Source accuracy: on up to 1,000 of the "
        "source's test pictures. *Doubtful*: mutual information fell, so the adapted model separates the target's "
        "pictures less well than the source model; look at its predictions before you use it."
    ]
    return section("Judged without the target's labels", markdown_table(head, rows, left=2), notes)


def _verdict(result: Result) -> str:
    if result.kept_source_model:
        return KEPT_SOURCE
    return "**doubtful**" if doubtful(result.unlabelled) else "no sign of harm"


def doubtful(scores: Unlabelled) -> bool:
    """Return whether label-free scores suggest that the adaptation was harmful."""
    return scores.after.information < scores.before.information


def choices_section(results: Sequence[Result]) -> str:
    """Return the table of accuracies at each validator's choice of epoch or configuration, and of the oracle."""
    chosen = [result for result in results if result.adapted() and result.unlabelled.choices]
    if not chosen:
        return ""
    step = step_word(results[0])
    own = [LAST] if step == "epoch" else []  # of the configurations of a search none is the last
    titles = ["keep the source model", *own, *(validator.title for validator in VALIDATORS)]
    rows = []
    for result in chosen:
        assert result.before is not None
        kept = both_cell(result, result.before.accuracy, result.before.balanced_accuracy)
        # A result that was made before a validator came has no choice of it.
        choices = [result.unlabelled.choices.get(name) for name in (*own, *(one.name for one in VALIDATORS))]
        cells = [_choice_cell(result, one) if one else NOTHING for one in choices]
        rows.append([dataset_title(result.target), kept, *cells, oracle_cell(result)])
    origins = "; ".join(f"{validator.title}: {validator.origin}" for validator in VALIDATORS)
    score = "The last epoch is the score unless `adapt.choose` names one of these. " if own else ""
    notes = [
        f"Accuracy (%) at the {step} that each rule chooses without a label of the target; {step} 0 is the "
        "model before training. The rules use predictions for at most 500 training pictures of the target and at most "
        f"500 test pictures of the source. {score}({origins}.)"
    ]
    return section(
        f"Choosing {'an' if own else 'a'} {step} without labels",
        markdown_table(["Target", *titles, ORACLE], rows),
        notes,
    )


def _choice_cell(result: Result, chosen: ChosenEpoch) -> str:
    return both_cell(result, chosen.accuracy, chosen.balanced_accuracy, f" ({step_word(result)} {chosen.epoch})")


def candidates_section(results: Sequence[Result]) -> str:
    """Return one table per target of the configurations of a search."""
    return "\n\n".join(_candidates(result) for result in results if result.candidates)


def _candidates(result: Result) -> str:
    validator = chooser(str(result.parameters["adapt.choose"]))
    assert validator is not None  # a search without a rule is refused
    judges = list(dict.fromkeys([validator, *VALIDATORS]))
    varied = list(result.candidates[0].parameters)
    head = ["", *(f"`{name}`" for name in varied), *(one.title for one in judges), "accuracy", "balanced"]
    rows = []
    for place, one in enumerate(result.candidates, start=1):
        scores = (
            NOTHING if value is None else percent(value, result) for value in (one.accuracy, one.balanced_accuracy)
        )
        numbers = (one.validations.get(judge.name) for judge in judges)
        said = (NOTHING if value is None else marked(f"{value:.3f}", result) for value in numbers)
        kept = f"**{place}, kept**" if place == result.kept_epoch else str(place)
        rows.append([kept, *(str(one.parameters[name]) for name in varied), *said, *scores])
    what = (
        f"{start_title(result)} was kept" if result.kept_epoch == 0 else f"configuration {result.kept_epoch} was kept"
    )
    notes = [
        f"Each was trained from the source model. By {validator.title}, without a label of the target, {what}. The "
        "first is the configured one. The accuracies (%) choose nothing."
    ]
    return section(f"Configurations tried on {dataset_title(result.target)}", markdown_table(head, rows), notes)
