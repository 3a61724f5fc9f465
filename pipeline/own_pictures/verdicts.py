"""Sentences of the report: which method was used, which model is kept and why, and the results of labels."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipeline.config.methods import AdaptParams
from pipeline.labels import EXPRESSIONS, NUM_CLASSES
from pipeline.networks.encoder_statistics import MARGIN, TONE_MARGIN, StatisticsChoice
from pipeline.own_pictures.labelled import Candidate, Verdict
from pipeline.reporting.markdown import markdown_table
from pipeline.validators import chooser


def done(params: AdaptParams, why: str) -> str:
    """Describe the method and its training.

    Args:
        params: parameters of the method.
        why: the reason for the method, as the end of a sentence.
    """
    if not params.adapts:
        return f"Nothing was adapted: {params.title}, {why}."
    encoder = "The encoder was fixed; its features of each picture were computed once. The layers after it"
    if params.changes == "weights":
        length = f"{params.epochs} epoch{'s' * (params.epochs > 1)}"
        how = f"{encoder} were trained on them." if params.trains == "head" else "The whole network was trained."
    elif params.changes == "statistics":
        length = f"{params.epochs} passes" if params.epochs > 1 else "one pass"
        how = "No weight was trained: means and variances in the batch norms became those of these pictures."
    else:
        length, how = "one pass without training", f"{encoder} were corrected on them."
    return f"Method: {params.title}, {why}; {length}. {how}"


def of_statistics(choice: StatisticsChoice, mark: str) -> str:
    """Say which statistics the encoder has; empty if there was no choice."""
    if choice.of_source is None or choice.of_target is None:
        return ""
    numbers = _change(choice.of_source, choice.of_target, mark)
    if choice.chosen == "target":
        moved = (
            "Before training, the means and variances in the encoder's batch norms were moved halfway to those of "
            "these pictures"
        )
        if not choice.statistics_suffice:
            return (
                f"{moved}, together with the restoration of the features, of which below. This alone would have "
                f"changed the entropy of the predictions too little: {numbers}."
            )
        return f"{moved}, because this changed the entropy of the predictions {numbers}: they became surer."
    return (
        "The encoder's batch norms kept the source's means and variances: those of these pictures would have changed "
        f"the entropy of the predictions {numbers}, and it must fall by more than {MARGIN}."
    )


def of_grey_levels(choice: StatisticsChoice, mark: str) -> str:
    """Say whether the grey levels are matched; empty if there was no choice."""
    curve = "One tone curve for all pictures gave them the grey levels of those that the source model was trained on"
    if choice.unmatched_entropy is None or choice.matched_entropy is None:
        return f"{curve}." if choice.matched else ""
    numbers = _change(choice.unmatched_entropy, choice.matched_entropy, mark)
    if choice.matched:
        return f"{curve}, because this changed the entropy of the predictions {numbers}."
    return (
        "The pictures kept their grey levels: with those of the pictures that the source model was trained on, the "
        f"entropy of the predictions would have changed {numbers}, and it must fall by more than {TONE_MARGIN}."
    )


def of_restoration(choice: StatisticsChoice, mark: str) -> str:
    """Say whether the features are restored; empty if there was no choice."""
    if choice.blur is None or choice.noise is None:
        return ""
    enlarged = f", with faces of {choice.side}{mark} pixels that were enlarged" if choice.side else ""
    camera = (
        "Compared with the pictures that the source model was trained on, these look as if taken with a blur of "
        f"{choice.blur:.1f}{mark} pixels and noise of {choice.noise:.1f}{mark} grey levels{enlarged}."
    )
    beside = "" if choice.of_target is None else " together with the statistics of these pictures"
    restored = "A linear map gave the features back what that takes away"
    if choice.unrestored_entropy is None or choice.restored_entropy is None:
        return f"{camera} {restored}."
    numbers = _change(choice.unrestored_entropy, choice.restored_entropy, mark)
    if choice.restored:
        return f"{camera} {restored}, because this{beside} changed the entropy of the predictions {numbers}."
    return (
        f"{camera} The features stayed as they are: a linear map that gives back what that takes away would "
        f"have changed the entropy of the predictions{beside} {numbers}, and it must fall by more than {MARGIN}."
    )


def _change(before: float, after: float, mark: str) -> str:
    return f"from {before:.3f}{mark} to {after:.3f}{mark}"


def taken_over(choice: StatisticsChoice) -> str:
    """Say in a few words what the encoder takes over from these pictures; empty: nothing."""
    taken = ["matched grey levels"] if choice.matched else []
    taken += ["the statistics of these pictures"] if choice.chosen == "target" else []
    taken += ["restored features"] if choice.restored else []
    return " and ".join(taken)


def kept(params: AdaptParams, epoch: int, validations: pd.DataFrame, moved: float, mark: str, taken: str = "") -> str:
    """Describe which model is kept, and by which rule.

    Args:
        params: parameters of the method.
        epoch: the kept epoch; 0: the model before training.
        validations: the validators' values, one row per epoch from 0.
        moved: share of pictures whose predicted class differs between the last epoch's model and the source model.
        mark: appended to every number if pictures are drawn, else "".
        taken: what the encoder takes over from these pictures, as of ``taken_over``.
    """
    if not params.adapts:
        return ""
    moving = "Training" if params.changes == "weights" else "The correction"
    moves = f"{moving} {{}} {100 * moved:.1f} %{mark} of the predictions"
    reason = _reason(params.choose, epoch, validations, mark)
    if epoch:
        of = f", after epoch {epoch} of {params.passes}" if params.passes > 1 else ""
        if params.search:
            of = f" of configuration {epoch} of those tried ([validations.csv](validations.csv))"
        return f"**Kept the adapted model**{of}. {moves.format('changed')}; {reason}."
    start = f" with {taken}" if taken else ""
    return f"**Kept the source model{start}**: {reason}. {moves.format('would have changed')}."


def _reason(rule: str, epoch: int, validations: pd.DataFrame, mark: str) -> str:
    validator = chooser(rule)
    if validator is None:
        return "kept without a rule, because of `--choose last`"
    values = validations[rule].to_numpy()
    if np.isnan(values[0]):
        return f"{validator.title} needs test pictures of the source, and there are none"
    if rule == "warrant":
        seen = f"(warrant {values[0]:.2f}{mark}; an adaptation is kept from 1 on)"
        if epoch:
            return f"kept because these pictures are clear to the source model, or far from its own pictures {seen}"
        return (
            "the source model's predictions are not certain enough to learn from, and these pictures are not far "
            f"enough from its own to correct a shift {seen}"
        )
    better = "higher" if validator.sign > 0 else "lower"
    if epoch:
        return (
            f"kept because {validator.title} is {better} than the source model's: {values[epoch]:.3f}{mark} instead of "
            f"{values[0]:.3f}{mark}"
        )
    best = np.nanmax(validator.sign * values[1:]) * validator.sign if len(values) > 1 else values[0]
    return f"{validator.title} is not {better} afterwards (best {best:.3f}{mark}, before {values[0]:.3f}{mark})"


def of_labels(verdict: Verdict, mark: str) -> str:
    """Return the section on the user's labels: accuracy of each candidate, and which one is kept."""
    n, best = len(verdict.labels), verdict.kept
    rows = [
        [
            f"**{one.title}**" if one is best else one.title,
            f"{int(one.right.sum())} of {n}{mark}",
            _accuracy(one.right, mark),
        ]
        for one in verdict.candidates
    ]
    parts = [
        "## Your labels",
        f"{n} labelled pictures: {_counts(verdict.labels)}. Each fit was tested on labels that it had not used "
        "(cross-validation). A model that was not fitted used no labels.",
        markdown_table(["model", "right", "accuracy (%) with its 95 % interval"], rows),
        f"**Kept: {best.title}**, accuracy {_accuracy(best.right, mark)} %. {_why(verdict)} The interval is Wilson's. "
        "It assumes independent pictures; for a series of similar pictures it is too narrow. The accuracy holds for "
        "pictures like the labelled ones, with the same class shares. It is slightly too high, because the same labels "
        "chose the model. Confidence is scaled so that its mean over the labelled pictures equals this accuracy.",
        _recalls(verdict, mark),
    ]
    if verdict.faceless:
        named = ", ".join(verdict.faceless[:5]) + (", …" if len(verdict.faceless) > 5 else "")
        parts.append(
            f"{len(verdict.faceless)} labels are not used, because no face was found in their pictures: {named}."
        )
    return "\n\n".join(parts)


def _why(verdict: Verdict) -> str:
    if verdict.chosen:
        return "It is the first of the table within one standard error of the best."
    default = "the default for this number of labels" if verdict.kept.name == "fit" else "the label-free choice"
    return f"No other model is better by more than a standard error, so {default} is kept."


def _accuracy(right: NDArray[np.bool_], mark: str) -> str:
    low, high = wilson(int(right.sum()), len(right))
    return f"{100 * right.mean():.1f}{mark} [{100 * low:.1f}, {100 * high:.1f}]"


def wilson(right: int, n: int) -> tuple[float, float]:
    """Return the 95 % confidence interval of a proportion (Wilson 1927)."""
    # Imported here, because scipy.stats takes a second to import.
    from scipy.stats import binomtest

    found = binomtest(right, n).proportion_ci(0.95, method="wilson")
    return float(found.low), float(found.high)


def _counts(labels: NDArray[np.int64]) -> str:
    counts = np.bincount(labels, minlength=NUM_CLASSES)
    return ", ".join(f"{name} {count}" for name, count in zip(EXPRESSIONS, counts, strict=True) if count)


def _recalls(verdict: Verdict, mark: str) -> str:
    best: Candidate = verdict.kept
    cells = []
    for index, name in enumerate(EXPRESSIONS):
        mine = verdict.labels == index
        if mine.any():
            cells.append([name, f"{int(best.right[mine].sum())} of {int(mine.sum())}{mark}"])
    return markdown_table(["expression", "right"], cells)


def next_labels(count: int, queries: Sequence[str]) -> str:
    """Return the section on the pictures to label next.

    Args:
        count: number of labels that the user has given.
        queries: the pictures, the most informative first.
    """
    if not queries:
        return ""
    begin = "A few labels of your own show how good the model is, and make it better" if not count else "More labels"
    return (
        f"## What to label next\n\n{begin}: [label-next.csv](label-next.csv) names {len(queries)} pictures, balanced "
        "over the classes. First come pictures that the model is unsure of and that differ from the labelled ones. "
        "Fill in the column `expression`, or open [label.html](label.html): it shows the faces, takes one key a class "
        "and saves labels.csv, in the browser's folder for downloads. Then run the same command again with `--labels "
        "labels.csv` and a new `--out`."
    )
