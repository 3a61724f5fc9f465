"""POCAN: cross-domain facial expression recognition by prototype-oriented contrastive adaptation."""
