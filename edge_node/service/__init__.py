"""The agent as a service of systemd: its unit, how it is installed, and what it tells systemd while it runs."""
