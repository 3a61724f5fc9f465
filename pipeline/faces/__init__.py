"""Detection, cropping and packing of faces."""
