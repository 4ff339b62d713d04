"""The coordinator's connections: a client of the broker, a broker of its own, its announcement on the LAN."""
