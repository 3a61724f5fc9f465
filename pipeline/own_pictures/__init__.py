"""A model for the user's own pictures, beside the pipeline: faces, adaptation, predictions, a report."""
