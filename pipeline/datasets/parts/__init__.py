"""What the readers share: interface, decoding, finding a set, names of classes, tables, sequences, boxes, videos."""
