"""How this device becomes a node and stays one: identity, enrollment, registration, certificate, time."""
