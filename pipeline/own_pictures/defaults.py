"""How ``pocan adapt`` adapts where nothing else is asked for.

A folder of one's own gets these values, with which the head was measured on real faces (docs/results.md), whatever
params.yaml says of the pipeline. A parameter file that is named with ``--params`` is taken as it is.
``WITHOUT_PROJECT`` has the other values where there is no params.yaml.
"""

import json
from typing import Any

from pipeline.config.methods import METHODS
from pipeline.config.methods.base import AdaptParams

WITH_SOURCE, WITH_STATISTICS, WITH_NOTHING = "pocan", "shift", "centroid"
"""The method where the source's pictures are at hand; where only their class statistics are, in the model; where
neither is."""

LENGTH: dict[str, Any] = {"epochs": 10, "steps_per_epoch": 30, "batch_size": 64, "source_pictures": 2000}
"""300 steps of 64 pictures of each domain see a thousand pictures twenty times. 2,000 pictures of the source hold what
g and M have to remember; the features of more would take longer than those of an album."""

ONE_PASS: dict[str, Any] = {"epochs": 1, "steps_per_epoch": None}
"""Of methods that only take statistics: later passes would give the same."""

WITHOUT_PROJECT: dict[str, Any] = {
    "seed": 0,
    "device": "auto",
    "evaluate": {"bootstrap": 2000, "tsne_samples": 200},
    "compute": {"precision": "auto", "compile": False, "devices": 1},
    "tracking": {"experiment": "pocan"},
}
"""What params.yaml says in a project, beside sections ``adapt`` and ``methods``."""

RATES: dict[str, dict[str, Any]] = {
    "pocan": {
        "lr": 0.01,
        "prototype_lr": 0.03,
        "prototype_lr_drop_epoch": 7,
        "pseudo_loss": "consistent",
        "trusted_floor": 0.2,
        "trusted_cap": 0.5,
        "ema": 0.99,
    },
    "shot": {"prototype_lr": 3e-3, "ema": 0.99},
    "aad": {"prototype_lr": 3e-3, "ema": 0.99},
}
"""Rates for a head whose f does not move: ten times those through the whole network. Other methods have their own.

params.yaml and params/fer2013-ckplus48.yaml repeat them, as each parameter file is complete; a test compares them.
"""


def changes(method: str, decision: dict[str, Any], has_head: bool = True) -> list[str]:
    """The values of sections ``adapt`` and ``methods``, as changes of a parameter file.

    Args:
        method: its name; a name that is none is refused where the changes are checked.
        decision: the parameters of the source model's prototypes. POCAN gets their class weights and adjustment of
            logits, so that before and after decide alike.
        has_head: whether the model has a head g that can be trained alone: imported ones have none, and only methods
            without training work on their features.
    """
    own: dict[str, dict[str, Any]] = {name: dict(RATES.get(name, {})) for name in METHODS}
    for key in ("class_weights", "logit_adjustment", "balance"):
        if key in decision:
            own["pocan"][key] = decision[key]
    kind = METHODS.get(method, AdaptParams)
    whole = kind.needs_encoder or not (has_head or kind.changes == "decision")
    length = {**LENGTH, **ONE_PASS} if kind.changes == "statistics" else LENGTH
    adapt = {"method": method, **length, "trains": "all" if whole else "head", "encoder_statistics": "information"}
    return [f"adapt={json.dumps(adapt)}", f"methods={json.dumps(own)}"]
