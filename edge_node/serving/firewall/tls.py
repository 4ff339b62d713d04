"""TLS of the ports that others reach: 1.2 or newer, ALPN, clients' certificates where these are asked for."""

import ssl

from edge_node.errors import BadInput
from edge_node.serving.settings import Tls


def context_of(tls: Tls, *protocols: str) -> ssl.SSLContext:
    """The server's side of TLS.

    Args:
        tls: PEM files.
        protocols: names of ALPN.

    Raises:
        BadInput: a file cannot be read, or key and certificate do not belong together.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION
    context.set_alpn_protocols(list(protocols))
    try:
        context.load_cert_chain(tls.certificate, tls.key)
        if tls.clients is not None:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(tls.clients)
    except OSError as error:  # of which SSLError is one
        files = ", ".join(file for file in (tls.certificate, tls.key, tls.clients) if file)
        reason = error.strerror or str(error)
        raise BadInput(f"TLS with {files}: {reason}: give PEM files that belong together") from None
    return context


def common_name(certificate: object) -> str:
    """The common name of what `SSLObject.getpeercert` gives, empty without one."""
    if not isinstance(certificate, dict):
        return ""
    fields = (field for part in certificate.get("subject", ()) for field in part)
    return next((value for name, value in fields if name == "commonName"), "")
