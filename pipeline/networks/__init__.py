"""The networks (encoder, head, prototypes), saved models, and predictions for whole data sets."""
