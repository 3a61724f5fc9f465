"""How good models, and other people's predictions, are on labelled pictures: ``pocan score``."""
