"""Scores of models, and of other programs' predictions, on labelled pictures: ``pocan score``."""
