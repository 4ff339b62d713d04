"""How a coordinator makes itself known by DNS-SD (RFC 6763): the service type and the keys of its TXT record.

The port is that of the gRPC API. What a TXT record says is a hint: mDNS is not authenticated.
"""

SERVICE_TYPE = "_nearfield._tcp.local."
TXT_VERSION = b"version"
TXT_KEY_ID = b"key"
"""The id of the coordinator's signing key, as in its signed documents."""
TXT_ENROLLMENT = b"enrollment"
"""The port on which nodes are enrolled, on the same host."""
