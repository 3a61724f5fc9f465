"""Adaptation methods behind one interface, chosen by ``adapt.method``."""

from pipeline.methods.base import Method, SourceDomain, TargetDomain
from pipeline.methods.dt import DirectTransfer
from pipeline.methods.pocan import Pocan

METHODS: dict[str, type[Method]] = {"pocan": Pocan, "dt": DirectTransfer}

__all__ = ["METHODS", "Method", "SourceDomain", "TargetDomain"]
