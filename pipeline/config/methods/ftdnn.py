"""FTDNN's parameters."""

from typing import ClassVar

from pipeline.config.methods.two_domains import TwoDomainsParams


class FtdnnParams(TwoDomainsParams):
    """FTDNN's parameters: it has none of its own, as the source model is trained on by cross entropy alone."""

    name: ClassVar[str] = "ftdnn"
    title: ClassVar[str] = "FTDNN"
    citation: ClassVar[str] = (
        "Zavarez et al., Cross-database recognition by a fine-tuned deep convolutional network, SIBGRAPI 2017"
    )
    implementation: ClassVar[str] = "pipeline.methods.ftdnn:Ftdnn"
    uses_target: ClassVar[bool] = False
