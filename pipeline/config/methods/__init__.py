"""The adaptation methods by name: what each is called, where it was published, which parameters it takes.

A new method is its module in ``pipeline.methods``, its test, its parameters in a module here, one line below and its
section in the parameter files (docs/extending.md).
"""

from pipeline.config.methods.base import AdaptParams
from pipeline.config.methods.dann import DannParams
from pipeline.config.methods.dt import DtParams
from pipeline.config.methods.pocan import PocanParams
from pipeline.registry import Registry

__all__ = ["METHODS", "AdaptParams"]

METHODS: Registry[type[AdaptParams]] = Registry(
    "method",
    [
        DtParams,
        DannParams,
        PocanParams,
    ],
)
