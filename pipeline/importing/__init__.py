"""Importing networks that were trained elsewhere as model folders of this project."""
