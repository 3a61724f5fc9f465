"""Which methods can adapt an imported model: a network trained elsewhere, with a linear classifier on its features."""

from torch import nn

from pipeline.config.methods import METHODS
from pipeline.config.methods.base import AdaptParams
from pipeline.errors import ParamsError
from pipeline.methods.parts.norms import BATCH_NORMS, NORMS
from pipeline.networks.network import LinearClassifier, PrototypeClassifier


def require_fitting(params: AdaptParams, model: nn.Module) -> None:
    """Check that the method can adapt the model if it is an imported one; other models always pass.

    Raises:
        ParamsError: the method needs source pictures or source statistics, trains layers that the model lacks, or
            trains only the projection head, which an imported model does not have.
    """
    if not (isinstance(model, PrototypeClassifier) and isinstance(model.prototypes, LinearClassifier)):
        return
    reason = _reason(params, model)
    if reason:
        able = (name for name, kind in METHODS.items() if kind.source_free and not kind.needs_statistics)
        raise ParamsError(f"adapt.method: {params.title} {reason}; methods for imported models: {', '.join(able)}")
    if params.trains == "head" and params.adapts and params.changes != "decision":
        raise ParamsError(
            "adapt.trains: an imported model has no projection head that could be trained alone; set adapt.trains: all"
        )


def default_method(model: nn.Module) -> str:
    """Return the default method for an imported model, chosen on trial targets (docs/import-model.md).

    Neither trains: AdaBN re-estimates the statistics of batch norms; DT, if there are none, changes nothing.
    """
    return "adabn" if any(isinstance(layer, BATCH_NORMS) for layer in model.modules()) else "dt"


def _reason(params: AdaptParams, model: PrototypeClassifier) -> str:
    """Return why the method cannot adapt this model; empty if it can."""
    if not params.source_free:
        return "trains on the source's labelled pictures, which an imported model does not bring"
    if params.needs_statistics:
        return "compares with class means of the source, which an imported model does not bring"
    kinds = {"none": (nn.Module,), "batch": BATCH_NORMS, "all": NORMS}[params.works_by_norms]
    if not any(isinstance(layer, kinds) for layer in model.modules()):
        wanted = "batch norms" if params.works_by_norms == "batch" else "layers of normalisation"
        return f"changes {wanted} alone, and this network has none"
    return ""
