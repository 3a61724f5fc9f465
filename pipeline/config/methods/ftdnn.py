"""FTDNN's parameters."""

from typing import ClassVar

from pipeline.config.methods.two_domains import TwoDomainsParams


class FtdnnParams(TwoDomainsParams):
    """It has none of its own: the source model trained on, by cross entropy."""

    name: ClassVar[str] = "ftdnn"
    title: ClassVar[str] = "FTDNN"
    citation: ClassVar[str] = (
        "Zavarez et al., Cross-database recognition by a fine-tuned deep convolutional network, SIBGRAPI 2017"
    )
    implementation: ClassVar[str] = "pipeline.methods.ftdnn:Ftdnn"
    uses_target: ClassVar[bool] = False
