"""Dividing a data set into parts, and finding what the parts share."""
