"""What the readers share: the interface, decoding, folders named after classes, sequences."""
