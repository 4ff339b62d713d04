"""The coordinator as a service of systemd: its unit, how it is installed, what it tells systemd while it runs."""
