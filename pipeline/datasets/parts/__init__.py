"""What the readers share: interface, decoding, finding a set, names of classes, lists, tables, sequences, boxes, videos."""
