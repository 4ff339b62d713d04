"""Who may ask, and how much: decided before a request is read. `guard` is what the transports call."""
