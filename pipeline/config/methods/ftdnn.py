"""FTDNN's parameters."""

from typing import ClassVar

from pipeline.config.methods.two_domains import TwoDomainsParams


class FtdnnParams(TwoDomainsParams):
    """FTDNN has no parameters of its own: it continues to train the source model by cross entropy."""

    name: ClassVar[str] = "ftdnn"
    title: ClassVar[str] = "FTDNN"
    citation: ClassVar[str] = (
        "Zavarez et al., Cross-database recognition by a fine-tuned deep convolutional network, SIBGRAPI 2017"
    )
    implementation: ClassVar[str] = "pipeline.methods.ftdnn:Ftdnn"
    uses_target: ClassVar[bool] = False
