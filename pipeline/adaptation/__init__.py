"""Stage 2 as a whole: a source model and two domains in, an adapted model with its predictions and its run out."""
