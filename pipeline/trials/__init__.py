"""Trial targets: the source's own test part as other cameras would show it, with true labels that cost nothing."""
