"""The node's connections: to the broker, to the coordinator, to the site's own subscribers."""
