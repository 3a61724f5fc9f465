"""The source model: encoder and head of stage 1, then the source prototypes."""
