"""Detecting, cropping and storing faces."""
