"""The parameters that methods share which let two classifiers disagree."""

from pipeline.config.methods.two_domains import TwoDomainsParams
from pipeline.config.section import PositiveFloat, PositiveInt


class TwoClassifiersParams(TwoDomainsParams):
    """Three steps a batch.

    repeats: steps of f and g that bring the classifiers together (n of MCD's paper). apart: how far the second
    classifier starts from the first, as a share of the spread of M.
    """

    repeats: PositiveInt
    apart: PositiveFloat = 0.5
