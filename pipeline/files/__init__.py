"""The project's files: written as a whole, read as they were written, known by their digests."""
