"""Dividing a data set: by which protocol, and what the parts then share."""
