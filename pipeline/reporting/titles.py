"""Titles of data sets, methods, backbones and environments, for tables and figures."""

from collections.abc import Mapping

from pipeline.backbones import BACKBONES
from pipeline.config.methods import METHODS
from pipeline.datasets import DATASETS
from pipeline.evaluation.records import Result
from pipeline.validators import Validator, chooser

KNOWN_MARK = "§"
"""Marks numbers of a target whose classes were given."""

OTHER_CODE_MARK = "¶"
"""Marks numbers of a study that were computed by other code than the last commit's when it was collected."""

UNLIKE_MARK = "≠"
"""Marks means of a study over results with different precision, device or versions."""


def dataset_title(name: str) -> str:
    """Return the title of a data set; a folder of the user keeps its name."""
    return DATASETS.title(name)


def dataset_note(name: str) -> str:
    """Return a remark on a data set for readers of tables; usually empty."""
    return DATASETS[name].caveat if name in DATASETS else ""


def method_title(result: Result) -> str:
    """Return a configuration in the paper's words, "POCAN (w/o L_in, weights)", and its validator, if any."""
    title = METHODS.title(result.method)
    if result.without:
        title = f"{title} (w/o {', '.join(result.without)})"
    validator = epoch_chooser(result)
    return f"{title}, {step_word(result)} by {validator.title}" if validator else title


def start_title(result: Result) -> str:
    """What the training started from: the model of epoch 0, which a rule may keep."""
    taken = ["matched grey levels"] if result.histogram_matched else []
    taken += ["the target's statistics in its encoder"] if result.encoder_statistics == "target" else []
    taken += ["restored features"] if result.features_restored else []
    return f"the source model with {' and '.join(taken)}" if taken else "the source model"


def step_word(result: Result) -> str:
    """Return the word for a step of an adaptation: epoch, or configuration in a search."""
    return "configuration" if result.candidates else "epoch"


def losses_title(searched: bool) -> str:
    """Return the title of an adaptation's losses, which are by epoch also in a search."""
    return f"Adaptation by epoch{', one configuration after the other' if searched else ''}"


def epoch_chooser(result: Result) -> Validator | None:
    """Return the validator that chose the epoch; None for the last epoch."""
    return chooser(str(result.parameters["adapt.choose"]))


def backbone_title(result: Result) -> str:
    """Return the encoder and its pre-training: "ResNet-10, no pre-training"."""
    architecture = result.parameters.get("model.architecture", "null")
    return network_title(result.backbone, result.weights, "" if architecture == "null" else str(architecture))


def network_title(backbone: str, weights: str, architecture: str = "") -> str:
    """Return the titles of a backbone and its weights; unregistered names are used unchanged."""
    known = BACKBONES[backbone].weights if backbone in BACKBONES else {}
    title = f"{BACKBONES.title(backbone)} {architecture}".rstrip()
    return f"{title}, {known[weights].title if weights in known else weights}"


def environment_title(environment: Mapping[str, Mapping[str, str | bool]]) -> str:
    """Describe an environment: "fp32 on cpu (AVX2), torch 2.11.0, numpy 2.4.1"; by stage if stages differ."""
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
    """Return which data of this run are drawn, in a few words; empty if everything is real."""
    return {
        ("stand-in", "stand-in"): "drawn stand-ins",
        ("stand-in", "real"): "source: drawn stand-ins",
        ("real", "stand-in"): "target: drawn stand-ins",
        ("real", "real"): "",
    }[result.provenance.source, result.provenance.target]
