"""How tables and figures write the names that params.yaml spells in lower case."""

from pipeline.datasets import READERS
from pipeline.reporting.results import Result

ABLATION_TITLES = {"l_in": "L_in", "l_cross": "L_cross", "l_ad": "L_ad", "class_weights": "weights"}

WEIGHTS_TITLES = {"none": "no pre-training", "imagenet": "ImageNet", "vggface2": "VGGFace2"}

DRAWN_MARK = "◊"
"""Stands beside every number that was measured with drawn stand-ins as source, as target or as both."""


def dataset_title(name: str) -> str:
    """The data set's name as people write it; a folder of the user's own keeps its name."""
    return READERS[name].title if name in READERS else name


def method_title(result: Result) -> str:
    """The configuration in the paper's words: "DT", "POCAN" or, with ablations, "POCAN (w/o L_in, weights)"."""
    if result.method == "dt":
        return "DT"
    if not result.without:
        return "POCAN"
    return f"POCAN (w/o {', '.join(ABLATION_TITLES[ablation] for ablation in result.without)})"


def backbone_title(result: Result) -> str:
    """The encoder and what it was pre-trained on: "ResNet-10, no pre-training"."""
    return f"{result.backbone.replace('resnet', 'ResNet-')}, {WEIGHTS_TITLES.get(result.weights, result.weights)}"


def provenance_note(result: Result) -> str:
    """What is drawn in this run, in a few words; empty where everything is real."""
    return {
        ("stand-in", "stand-in"): "drawn stand-ins",
        ("stand-in", "real"): "source: drawn stand-ins",
        ("real", "stand-in"): "target: drawn stand-ins",
        ("real", "real"): "",
    }[result.provenance.source, result.provenance.target]
