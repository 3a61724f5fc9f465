"""Reading and writing the project's files: atomic writes, checked reads, digests, names."""
