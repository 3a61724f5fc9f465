"""The networks: encoder, head and prototypes, what predicts; saved models and predictions of whole sets."""
