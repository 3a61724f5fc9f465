"""The loop that all training stages share, its checkpoints, what it shows."""
