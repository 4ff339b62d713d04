"""A fleet that is not there: virtual nodes with a virtual clock, against the real rollouts."""
