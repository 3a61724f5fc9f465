"""Default parameters of ``pocan adapt``.

They replace sections adapt and methods of params.yaml, and were evaluated on real faces (docs/results.md). A parameter
file given by ``--params`` is used unchanged. ``WITHOUT_PROJECT`` has the other sections if there is no params.yaml.
"""

import json
from typing import Any

from pipeline.config.methods import METHODS
from pipeline.config.methods.base import AdaptParams

WITH_SOURCE, WITH_STATISTICS, WITH_NOTHING = "pocan", "shift", "centroid"
"""The default method: with source pictures; with only class statistics of the source, in the model; with neither."""

LENGTH: dict[str, Any] = {"epochs": 10, "steps_per_epoch": 30, "batch_size": 64, "source_pictures": 2000}
"""300 steps of 64 pictures per domain: twenty passes over a thousand pictures. 2,000 source pictures are enough for g
and M; computing the features of more would take longer than those of an album."""

ONE_PASS: dict[str, Any] = {"epochs": 1, "steps_per_epoch": None}
"""For methods that only re-estimate statistics, which further passes would not change."""

WITHOUT_PROJECT: dict[str, Any] = {
    "seed": 0,
    "device": "auto",
    "evaluate": {"bootstrap": 2000, "tsne_samples": 200},
    "compute": {"precision": "auto", "compile": False, "devices": 1},
    "tracking": {"experiment": "pocan"},
}
"""The sections that params.yaml has in a project, except ``adapt`` and ``methods``."""

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
"""Parameters for training the head alone; learning rates are ten times those for the whole network. Methods that are
not listed keep their defaults. params.yaml and params/fer2013-ckplus48.yaml repeat them; a test compares them.
"""


TAKEN_OVER = {"encoder_statistics": "entropy", "restoration": "entropy"}
"""What the encoder takes over from the pictures before training, where predictions become clearly surer."""


def changes(method: str, decision: dict[str, Any], has_head: bool = True) -> list[str]:
    """Return sections ``adapt`` and ``methods``, as changes to a parameter file.

    Args:
        method: name of the method; unknown names are refused later, when the changes are validated.
        decision: parameters of the source model's prototypes. POCAN gets the same class weights and logit adjustment,
            so that both models predict alike.
        has_head: whether the model has a head g that can be trained alone. Imported models have none, and only methods
            without training work on their features.
    """
    own: dict[str, dict[str, Any]] = {name: dict(RATES.get(name, {})) for name in METHODS}
    for key in ("class_weights", "logit_adjustment", "balance"):
        if key in decision:
            own["pocan"][key] = decision[key]
    kind = METHODS.get(method, AdaptParams)
    whole = kind.needs_encoder or not (has_head or kind.changes == "decision")
    length = {**LENGTH, **ONE_PASS} if kind.changes == "statistics" else LENGTH
    adapt = {"method": method, **length, "trains": "all" if whole else "head"} | TAKEN_OVER
    return [f"adapt={json.dumps(adapt)}", f"methods={json.dumps(own)}"]
