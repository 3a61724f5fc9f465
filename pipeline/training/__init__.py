"""The loop that all training stages share, with its checkpoints and progress display."""
