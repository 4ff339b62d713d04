"""The services under a real systemd, in a virtual machine: `make test-systemd`."""
