"""The section on the run's protocol: parameters, environment, splits, and differences from the paper."""

from collections.abc import Callable, Sequence

from pipeline.config.dependencies import result_params
from pipeline.config.schema import Params
from pipeline.evaluation.records import Result, SourceMetrics
from pipeline.labels import DRAWN_MARK, Provenance
from pipeline.reporting.markdown import NOTHING, markdown_table, marked
from pipeline.reporting.titles import (
    KNOWN_MARK,
    backbone_title,
    dataset_title,
    environment_title,
    epoch_chooser,
    method_title,
    network_title,
    step_word,
)
from pipeline.splits.report import SplitReport

Value = str | int | float | bool

NOT_PROTOCOL = ("seed", "evaluate.", "model.weights_file")
"""Parameters that may differ from the paper's without changing the protocol."""


TITLE = "What these numbers are"

TAKEN_OVER: tuple[tuple[str, str, Callable[[Result], bool], str], ...] = (
    (
        "histogram_matching",
        "never",
        lambda result: result.histogram_matched,
        "Before the encoder a tone curve maps grey levels to the source's",
    ),
    (
        "encoder_statistics",
        "source",
        lambda result: result.encoder_statistics == "target",
        "Batch norms of the encoder have the target's own statistics",
    ),
    (
        "restoration",
        "never",
        lambda result: result.features_restored,
        "After the encoder a linear map restores features for the target's camera",
    ),
)
"""What an encoder may take over from its target: parameter, its value for nothing, whether it was done, sentence."""


def lead(results: Sequence[Result]) -> str:
    """Return the introduction, which precedes all numbers."""
    first = results[0]
    targets = ", ".join(dataset_title(result.target) for result in results)
    text = (
        f"{method_title(first)}, source {dataset_title(first.source)}, targets {targets}; {backbone_title(first)}; "
        f"seed {first.seed}. Rows *measured by this run* are new. *Quoted* rows are from the POCAN paper and came with "
        "the project; so did rows of a study *committed in this repository*."
    )
    if not any(result.drawn for result in results):
        return text
    return (
        f"{text}\n\n**{DRAWN_MARK} marks numbers measured on drawn stand-ins**: the pictures of the source, of the "
        "target or of both are drawings by this project in the layout of the data set, not the data set itself. These "
        "numbers show that the pipeline works. Never compare them with the other numbers in these tables."
    )


def describe(results: Sequence[Result], source: SourceMetrics, paper: Params) -> str:
    """Return the section ``TITLE``: the run, parameters that differ from the paper's, and the splits.

    Args:
        results: one result per target.
        source: scores of the source model.
        paper: the parameters of params/paper.yaml.
    """
    first = results[0]
    targets = ", ".join(f"{dataset_title(r.target)} ({_kind(r.provenance.target)})" for r in results)
    revisions = ", ".join(f"`{name}`" for name in sorted({r.revision or "not under git" for r in results}))
    experiments = ", ".join(f"`{name}`" for name in sorted({r.experiment for r in results if r.experiment})) or "none"
    mark = f" {DRAWN_MARK}" if source.provenance == "stand-in" else ""
    paragraphs = [
        f"## {TITLE}",
        f"Rows marked *measured* come from this project's own run: source {dataset_title(first.source)} "
        f"({_kind(first.provenance.source)}); targets {targets}; method {method_title(first)}; "
        f"backbone {backbone_title(first)}; {_epochs(first)}; seed {first.seed}; git revision {revisions}; "
        f"DVC experiment {experiments}; computed with {_environments(results)}. "
        "Quoted rows are printed in the POCAN paper (ACCV 2022); "
        f"numbers in square brackets after a method are the paper's references.",
        f"The source model scores {100 * source.accuracy:.1f}{mark} % (macro F1 {source.macro_f1:.3f}{mark}) on the "
        f"{source.n_test:,}{mark} test pictures of {dataset_title(source.dataset)} itself; "
        f"its balanced accuracy there is {100 * source.balanced_accuracy:.1f}{mark} %. With the source's own class "
        f"shares, which it does not use for targets, it scores {100 * source.own_shares_accuracy:.1f}{mark} %.",
        f"{_scored(results)} The authors' released code keeps the epoch with the best accuracy on the labelled target "
        "test set. If the paper's POCAN rows were made in this way, compare them with the measured oracle, not with "
        "the measured score.",
    ]
    paragraphs.append("\n".join(f"- {dataset_title(result.target)}: {_run(result)}" for result in results))
    return "\n\n".join(
        (
            *paragraphs,
            *_taken_over(results),
            *_differences(results, paper),
            *_divisions(results),
        )
    )


def _run(result: Result) -> str:
    run_id = f"MLflow run `{result.run_id}`" if result.run_id else "no MLflow run"
    drawn = ""
    if tested := result.tested:
        drawn = f", bootstrap over its {len(set(tested.groups)):,} {tested.unit}s"
    return f"{run_id}, revision {f'`{result.revision}`' if result.revision else 'not under git'}{drawn}"


def _kind(provenance: Provenance) -> str:
    return "drawn stand-ins" if provenance == "stand-in" else "real"


def _epochs(result: Result) -> str:
    epochs, searched = result.epochs, len(result.candidates)
    text = f"epochs: {epochs.pretrain} source pre-training, {epochs.prototypes} prototypes"
    each = f" of each of {searched} configurations" if searched else ""
    return f"{text}, {epochs.adapt} adaptation{each}" if result.adapts else text


def _scored(results: Sequence[Result]) -> str:
    """Describe which epoch's model is scored."""
    validator = epoch_chooser(results[0])
    if validator is None:
        return "Measured scores are from the last epoch."
    kept = ", ".join(f"{dataset_title(result.target)} {result.kept_epoch}" for result in results)
    word = step_word(results[0])
    return (
        f"Measured scores are from the {word} chosen without the target's labels, by {validator.title} "
        f"(`adapt.choose`; {validator.origin}); 0 is the model before training: {kept}."
    )


def _taken_over(results: Sequence[Result]) -> list[str]:
    """What the encoders have taken over from their targets, where the parameters allow it."""
    said, first = [], results[0]
    for key, off, taken, sentence in TAKEN_OVER:
        rule = first.parameters.get(f"adapt.{key}", off)
        if rule == off or not first.adapts:
            continue
        titles = ", ".join(dataset_title(result.target) for result in results if taken(result)) or "no target"
        reason = ", where predictions became clearly surer; no label was used" if rule == "entropy" else ""
        said.append(f"{sentence} for {titles}{reason} (`adapt.{key}: {rule}`).")
    return said


def _environments(results: Sequence[Result]) -> str:
    """Describe the environment; by target if targets differ."""
    titles: dict[str, list[str]] = {}
    for result in results:
        titles.setdefault(environment_title(result.environment), []).append(dataset_title(result.target))
    if len(titles) == 1:
        return next(iter(titles))
    return "; ".join(f"{title} ({', '.join(targets)})" for title, targets in titles.items())


def _differences(results: Sequence[Result], paper: Params) -> list[str]:
    """Describe differences from the paper's protocol, with a table of all parameters."""
    first = results[0]
    named = []
    if first.source != paper.source:
        named.append(f"the source is {dataset_title(first.source)} (paper: {dataset_title(paper.source)})")
    if (first.backbone, first.weights) != (paper.model.backbone, paper.model.weights):
        theirs = network_title(paper.model.backbone, paper.model.weights)
        named.append(f"the backbone is {backbone_title(first)} (paper: {theirs})")
    differing = _differing(results, paper)
    rows = [[f"`{key}`", _as_text(ours), _as_text(theirs)] for key, (ours, theirs) in differing.items()]
    if not named and not rows:
        return []
    count = f"{len(rows)} parameter{'s differ' if len(rows) > 1 else ' differs'} from params/paper.yaml"
    sentence = f"This run differs from the paper's protocol: {'; '.join([*named, count])}."
    return [sentence, markdown_table(["Parameter", "this run", "paper"], rows, left=1)]


def _differing(results: Sequence[Result], paper: Params) -> dict[str, tuple[Value | None, Value | None]]:
    """Return parameters that differ from the paper's, with both values; method parameters only for the same method."""
    found: dict[str, tuple[Value | None, Value | None]] = {}
    for result in results:
        theirs = (
            result_params(paper, result.target)
            if result.target in paper.targets
            else result_params(paper, paper.targets[0])
        )
        for key in sorted({*result.parameters, *theirs}):
            ours, printed = result.parameters.get(key), theirs.get(key)
            if ours != printed and _is_protocol(key, result, paper):
                found[key] = ours, printed
    return found


def _is_protocol(key: str, result: Result, paper: Params) -> bool:
    if key.startswith(NOT_PROTOCOL):
        return False
    if key.startswith("adapt."):
        return result.method == paper.adapt.method
    if key.startswith("split."):
        return key.split(".")[1] in {paper.source, *paper.targets} & {result.source, result.target}
    return True


def _as_text(value: Value | None) -> str:
    return NOTHING if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def _divisions(results: Sequence[Result]) -> list[str]:
    """Describe each target's split, and what its test rows share with training rows."""
    head = ["Target", "Split", "Test", "adapted on", "sequence shared", "subject shared"]
    head += ["training like test", "like source"]
    rows = []
    for result in results:
        split, like = result.split, result.split.duplicates
        shared = split.test_in_train
        counts = [result.n_test, shared.picture, shared.sequence, shared.subject]
        counts += [like.train_like_test, like.with_[result.source].pictures]
        cells = ["unknown" if count is None else marked(f"{count:,}", result) for count in counts]
        rows.append([dataset_title(result.target), _division(split), *cells])
    notes = (
        "*Adapted on*: test pictures that the model was adapted to (protocol `all`). *Shared*: test pictures with "
        "other frames of their sequence, or other pictures of their person, in the training part. *Training like "
        "test*: training pictures that are the same as a test picture, or nearly. *Like source*: pictures of the "
        "target that are the same as one of the source's, or nearly. data/duplicates lists the pairs."
    )
    if any(result.drawn for result in results):
        notes += " Drawn faces look alike, so few of their near duplicates are copies."
    return ["### Splits, and what their parts share", markdown_table(head, rows, left=2), notes]


def _division(split: SplitReport) -> str:
    protocol = split.protocol
    parts = [protocol.protocol]
    if protocol.test is not None:
        parts.append(f"test {protocol.test}")
        parts.append(f"seed {protocol.seed}")
    if protocol.classes is not None:
        parts.append(f"classes {KNOWN_MARK}: {' '.join(protocol.classes)}")
    if split.dropped is not None:
        parts.append(f"{split.dropped} duplicates dropped")
    return ", ".join(parts)
