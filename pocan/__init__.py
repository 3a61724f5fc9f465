"""POCAN: cross-domain facial expression recognition."""
