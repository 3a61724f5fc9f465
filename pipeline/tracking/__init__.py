"""All that touches MLflow, and which execution of the pipeline this is."""
