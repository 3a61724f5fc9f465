"""Trial targets: altered test pictures of the source, with known labels, for tests of methods and settings."""
