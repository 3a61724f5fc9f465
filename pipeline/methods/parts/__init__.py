"""What adaptation methods share: their interface, training on two domains, discriminators, pseudo-labels, averages."""
