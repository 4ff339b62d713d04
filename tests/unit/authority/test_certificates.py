"""What the authority issues."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA
from cryptography.x509.oid import ExtendedKeyUsageOID

from coordinator.authority.certificates import (
    BOTH,
    CLIENT,
    SERVER,
    Authority,
    alternative_names,
    authority_certificate,
    open_authority,
    proves,
    read_certificate,
)
from coordinator.authority.credential import Credential, parse_credential
from coordinator.authority.keys import key_pem, new_key, read_key
from coordinator.authority.own import is_due, own_names
from coordinator.errors import BadInput
from protos.principal import BROKER_NAME, SERVER_NAME

NOW = datetime(2026, 5, 1, 10, tzinfo=UTC)
DAY = timedelta(days=1)


def make_authority() -> Authority:
    """A new one."""
    key = new_key()
    return open_authority(key, authority_certificate(key, NOW), "ca.pem")


AUTHORITY = make_authority()
KEY = new_key()


def issued(usages: tuple[x509.ObjectIdentifier, ...] = CLIENT, name: str = "admin:alice") -> x509.Certificate:
    """A certificate."""
    return read_certificate(AUTHORITY.issue(KEY.public_key(), name, usages, 90 * DAY, NOW, ("10.0.0.4", "shop")).pem)


def test_the_authority_may_sign_and_nothing_below_it() -> None:
    extensions = AUTHORITY.certificate.extensions
    basic = extensions.get_extension_for_class(x509.BasicConstraints)
    assert (basic.critical, basic.value.ca, basic.value.path_length) == (True, True, 0)
    usage = extensions.get_extension_for_class(x509.KeyUsage).value
    assert usage.key_cert_sign
    assert not usage.digital_signature


def test_a_clients_certificate_is_for_clients_only() -> None:
    certificate = issued()
    extensions = certificate.extensions
    assert not extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    assert list(extensions.get_extension_for_class(x509.ExtendedKeyUsage).value) == [ExtendedKeyUsageOID.CLIENT_AUTH]
    assert alternative_names(certificate) == frozenset()
    assert certificate.subject.rfc4514_string() == "CN=admin:alice"
    assert certificate.not_valid_before_utc < NOW < certificate.not_valid_after_utc == NOW + 90 * DAY


def test_a_servers_certificate_has_the_names_that_it_was_issued_for_and_no_other() -> None:
    assert alternative_names(issued(SERVER)) == {"10.0.0.4", "shop"}
    usages = issued(BOTH, "coordinator").extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usages) == [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]


def test_serial_numbers_are_never_the_same() -> None:
    assert len({issued().serial_number for _ in range(20)}) == 20


def test_nothing_outlives_the_authority() -> None:
    late = AUTHORITY.issue(KEY.public_key(), "admin:alice", CLIENT, 9000 * DAY, NOW)
    assert late.not_after == AUTHORITY.certificate.not_valid_after_utc


@pytest.mark.parametrize("name", ["", "a b", "http://x", "x/y", "ü", "a..b", "user@host", "1.2.3.4:5", "a" * 300])
def test_a_name_that_is_neither_host_nor_address_is_one_line(name: str) -> None:
    with pytest.raises(BadInput, match="neither a host name nor an address"):
        AUTHORITY.issue(KEY.public_key(), "coordinator", SERVER, DAY, NOW, (name,))


def test_only_certificates_of_trusted_authorities_are_its_own() -> None:
    other = make_authority()
    assert AUTHORITY.is_issuer_of(issued())
    assert not other.is_issuer_of(issued())
    both = replace(other, trusted=(*other.trusted, AUTHORITY.certificate))
    assert both.is_issuer_of(issued())


def test_an_authority_that_was_replaced_is_still_trusted_from_its_file() -> None:
    key = new_key()
    opened = open_authority(key, AUTHORITY.pem + authority_certificate(key, NOW), "ca.pem")
    assert opened.certificate.public_key() == key.public_key()
    assert opened.authorities == (opened.pem, AUTHORITY.pem)


@pytest.mark.parametrize(
    ("pem", "complaint"), [(b"?", "holds no certificates"), (AUTHORITY.pem, "has no certificate for the authority's")]
)
def test_an_authority_without_its_certificate_is_one_line(pem: bytes, complaint: str) -> None:
    with pytest.raises(BadInput, match=complaint):
        open_authority(new_key(), pem, "ca.pem")


def test_a_proof_holds_for_its_key_and_message_only() -> None:
    signature = KEY.sign(b"challenge" + b"csr", ECDSA(hashes.SHA256()))
    assert proves(issued(), signature, b"challengecsr")
    assert not proves(issued(), signature, b"challengecsR")
    assert not proves(issued(), b"", b"challengecsr")
    assert not proves(AUTHORITY.certificate, signature, b"challengecsr")


def test_the_coordinators_certificate_is_renewed_at_half_life_or_when_its_names_or_authority_change() -> None:
    own, names = issued(BOTH, "coordinator"), ("10.0.0.4", "shop")
    assert not is_due(own, AUTHORITY, names, NOW + 44 * DAY)
    assert is_due(own, AUTHORITY, names, NOW + 46 * DAY)
    assert is_due(own, AUTHORITY, names, NOW - DAY)  # the clock was wrong when it was issued
    assert is_due(own, AUTHORITY, ("10.0.0.5",), NOW)
    assert is_due(own, make_authority(), names, NOW)


def test_the_coordinators_names_are_each_there_once() -> None:
    names = own_names(("shop", "10.0.0.4"), "shop", ("10.0.0.4", ""))
    assert names == (SERVER_NAME, BROKER_NAME, "shop", "10.0.0.4", "localhost", "127.0.0.1", "::1")


def test_a_credential_is_read_as_it_was_written() -> None:
    certificate = AUTHORITY.issue(KEY.public_key(), "admin:alice", CLIENT, DAY, NOW).pem
    credential = Credential(certificate, key_pem(KEY), AUTHORITY.pem)
    assert parse_credential(credential.pem, "f") == credential
    assert parse_credential(credential.pem.replace(b"\n", b"\r\n"), "f") == credential


def test_a_credential_does_not_show_its_key() -> None:
    pem = key_pem(KEY)
    assert pem.decode().splitlines()[1] not in repr(Credential(b"", pem, b""))
    assert "EllipticCurve" not in repr(AUTHORITY).partition("certificate=")[0]


@pytest.mark.parametrize("cut", ["key", "authority"])
def test_a_credential_without_a_part_is_one_line(cut: str) -> None:
    certificate = AUTHORITY.issue(KEY.public_key(), "admin:alice", CLIENT, DAY, NOW).pem
    parts = Credential(certificate, b"" if cut == "key" else key_pem(KEY), b"" if cut == "authority" else AUTHORITY.pem)
    with pytest.raises(BadInput, match="f is not a credential: it holds a certificate, its key and the authority"):
        parse_credential(parts.pem, "f")


@pytest.mark.parametrize("pem", [b"", b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"])
def test_a_key_that_is_none_is_one_line_without_its_content(pem: bytes) -> None:
    with pytest.raises(BadInput, match=r"ca\.key is not a private key in PEM"):
        read_key(pem, "ca.key")
