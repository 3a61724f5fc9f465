"""Which parameters decide the numbers of one target; a result carries them, so that it says what made it."""

from pipeline.config.flat import flatten
from pipeline.config.schema import Params

SECTIONS = ("seed", "source", "faces", "model", "augment", "pretrain", "prototypes", "adapt", "evaluate")
"""What is decisive beside the division of source and target; how and where it is computed is said elsewhere."""


def decisive(params: Params, target: str) -> dict[str, str | int | float | bool]:
    """Every parameter that decides what is measured on ``target``, by its full name ("adapt.tau")."""
    values = params.model_dump()
    chosen = {name: values[name] for name in SECTIONS}
    return flatten({**chosen, "split": {name: values["split"][name] for name in (params.source, target)}})
