"""Shared parts of readers: interface, decoding, finding a set, class names, lists, tables, sequences, boxes, videos."""
