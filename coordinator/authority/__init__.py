"""The coordinator's own certificate authority: what it signs, and what it refuses to sign."""
