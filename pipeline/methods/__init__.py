"""The adaptation methods, one module each. Their parameters are in ``pipeline.config.methods``."""

from pipeline.config.methods.base import AdaptParams
from pipeline.methods.parts.base import Method, SourceDomain, TargetDomain, require_statistics
from pipeline.methods.parts.linear import default_method, require_fitting
from pipeline.registry import imported_of

__all__ = [
    "Method",
    "SourceDomain",
    "TargetDomain",
    "default_method",
    "implementation",
    "require_fitting",
    "require_statistics",
]


def implementation(params: AdaptParams) -> type[Method]:
    """Import and return the method's class.

    Raises:
        PipelineError: its parameters name a module or class that does not exist.
    """
    found: type[Method] = imported_of(type(params), "implementation")
    return found
