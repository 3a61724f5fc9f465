"""What the readers share: interface, decoding, finding a set, class names, lists, tables, sequences, boxes, videos."""
