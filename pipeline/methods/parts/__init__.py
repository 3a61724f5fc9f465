"""What adaptation methods are put together from: the interface, pseudo-labels."""
