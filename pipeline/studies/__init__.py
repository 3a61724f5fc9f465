"""Studies: variants × seeds of the pipeline, run as DVC experiments and compared (docs/studies.md)."""
