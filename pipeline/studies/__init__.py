"""Studies: variants × seeds of the pipeline as DVC experiments, compared (docs/studies.md)."""
