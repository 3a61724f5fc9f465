"""Scores of predictions against labels, and what is said of one target."""
