"""The registry of adaptation methods: name, title, publication and parameters of each.

To add a method, write its module in ``pipeline.methods``, a test, and a module with its parameters here; add it to the
list below and to the parameter files (docs/extending.md).
"""

from pipeline.config.methods.aad import AadParams
from pipeline.config.methods.adabn import AdabnParams
from pipeline.config.methods.agra import AgraParams
from pipeline.config.methods.base import AdaptParams
from pipeline.config.methods.cdan import CdanParams
from pipeline.config.methods.centroid import CentroidParams
from pipeline.config.methods.concord import ConcordParams
from pipeline.config.methods.coral import CoralParams
from pipeline.config.methods.dan import DanParams
from pipeline.config.methods.dann import DannParams
from pipeline.config.methods.detn import DetnParams
from pipeline.config.methods.dfa import DfaParams
from pipeline.config.methods.dt import DtParams
from pipeline.config.methods.ecan import EcanParams
from pipeline.config.methods.fixmatch import FixmatchParams
from pipeline.config.methods.ftdnn import FtdnnParams
from pipeline.config.methods.icid import IcidParams
from pipeline.config.methods.lame import LameParams
from pipeline.config.methods.lpl import LplParams
from pipeline.config.methods.mcc import MccParams
from pipeline.config.methods.mcd import McdParams
from pipeline.config.methods.mean_teacher import MeanTeacherParams
from pipeline.config.methods.pocan import PocanParams
from pipeline.config.methods.safn import SafnParams
from pipeline.config.methods.sar import SarParams
from pipeline.config.methods.shift import ShiftParams
from pipeline.config.methods.shot import ShotParams
from pipeline.config.methods.swd import SwdParams
from pipeline.config.methods.t3a import T3aParams
from pipeline.config.methods.tent import TentParams
from pipeline.registry import Registry

__all__ = ["METHODS", "AdaptParams"]

METHODS: Registry[type[AdaptParams]] = Registry(
    "method",
    [
        DtParams,
        FtdnnParams,
        LplParams,
        IcidParams,
        DannParams,
        CdanParams,
        DanParams,
        CoralParams,
        DfaParams,
        DetnParams,
        EcanParams,
        McdParams,
        SwdParams,
        SafnParams,
        AgraParams,
        MccParams,
        AdabnParams,
        CentroidParams,
        ShiftParams,
        T3aParams,
        LameParams,
        TentParams,
        SarParams,
        ShotParams,
        AadParams,
        MeanTeacherParams,
        FixmatchParams,
        ConcordParams,
        PocanParams,
    ],
    __name__,
)
