"""How tables and figures write the names that params.yaml spells in lower case."""

from collections.abc import Mapping

from pipeline.backbones import BACKBONES
from pipeline.config.methods import METHODS
from pipeline.datasets import DATASETS
from pipeline.evaluation.records import Result
from pipeline.validators import Validator, chooser

KNOWN_MARK = "§"
"""Stands beside every number of a target whose label set was given."""

OTHER_CODE_MARK = "¶"
"""Stands beside every number of a study that other code has made than that of the last commit when it was collected."""

UNLIKE_MARK = "≠"
"""Stands beside every number of a study that is a mean over what was computed unlike (precision, device, versions)."""


def dataset_title(name: str) -> str:
    """The data set's name as people write it; a folder of the user's own keeps its name."""
    return DATASETS.title(name)


def dataset_note(name: str) -> str:
    """What a reader of a table must know of a data set; mostly nothing."""
    return DATASETS[name].caveat if name in DATASETS else ""


def method_title(result: Result) -> str:
    """The configuration in the paper's words: "DT", "POCAN", "POCAN (w/o L_in, weights)"; and who chose the epoch."""
    title = METHODS.title(result.method)
    if result.without:
        title = f"{title} (w/o {', '.join(result.without)})"
    validator = epoch_chooser(result)
    return f"{title}, {step_word(result)} by {validator.title}" if validator else title


def start_title(result: Result) -> str:
    """What the training started from: the model of epoch 0, which a rule may keep."""
    own = " with the target's statistics in its encoder" if result.encoder_statistics == "target" else ""
    return f"the source model{own}"


def step_word(result: Result) -> str:
    """What an adaptation is judged after: an epoch, or the training of a configuration in a search."""
    return "configuration" if result.candidates else "epoch"


def losses_title(searched: bool) -> str:
    """The title of an adaptation's losses, which are by epoch in a search, too."""
    return f"Adaptation by epoch{', one configuration after the other' if searched else ''}"


def epoch_chooser(result: Result) -> Validator | None:
    """The validator that chose the epoch; None: it is the last one."""
    return chooser(str(result.parameters["adapt.choose"]))


def backbone_title(result: Result) -> str:
    """The encoder and what it was pre-trained on: "ResNet-10, no pre-training"."""
    architecture = result.parameters.get("model.architecture", "null")
    return network_title(result.backbone, result.weights, "" if architecture == "null" else str(architecture))


def network_title(backbone: str, weights: str, architecture: str = "") -> str:
    """A backbone and its weights by their titles; names that are not registered are their own titles."""
    known = BACKBONES[backbone].weights if backbone in BACKBONES else {}
    title = f"{BACKBONES.title(backbone)} {architecture}".rstrip()
    return f"{title}, {known[weights].title if weights in known else weights}"


def environment_title(environment: Mapping[str, Mapping[str, str | bool]]) -> str:
    """How and on what a result was computed: "fp32 on cpu (AVX2), torch 2.11.0, numpy 2.4.1"; by stage where unlike."""
    by_stage = {stage: _computed(values) for stage, values in environment.items()}
    if len(set(by_stage.values())) == 1:
        return next(iter(by_stage.values()))
    return "; ".join(f"{stage}: {text}" for stage, text in by_stage.items())


def _computed(values: Mapping[str, str | bool]) -> str:
    known = ("precision", "compile", "device", "hardware")
    compiled = ", compiled" if values.get("compile") is True else ""
    versions = ", ".join(f"{name} {value}" for name, value in values.items() if name not in known)
    return f"{values['precision']}{compiled} on {values['device']} ({values['hardware']}), {versions}"


def provenance_note(result: Result) -> str:
    """What is drawn in this run, in a few words; empty where everything is real."""
    return {
        ("stand-in", "stand-in"): "drawn stand-ins",
        ("stand-in", "real"): "source: drawn stand-ins",
        ("real", "stand-in"): "target: drawn stand-ins",
        ("real", "real"): "",
    }[result.provenance.source, result.provenance.target]
