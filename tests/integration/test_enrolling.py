"""How a device gets its identity: through a real child process, real TLS, and a service that may be somebody else's."""

from pathlib import Path

import grpc
import pytest
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.x509 import load_pem_x509_csr

from edge_node.errors import Refused, Stranger
from edge_node.link import enrollment as link
from edge_node.link.key import new_key
from protos.join_token import JoinToken
from tests.authorities import Authority
from tests.integration.enrolling import NODE, SECRET, Enrolling, enrollment


@pytest.fixture
def service(tmp_path: Path) -> Enrolling:
    return Enrolling(Authority(tmp_path / "ours"))


async def enrolled(token: JoinToken, folder: Path) -> link.Enrolled:
    if not (folder / "node.key").exists():
        (folder / "node.key").write_bytes(new_key())
    return await link.enroll(
        token, token.addresses[0], folder / "node.key", name="cam-3", labels={"a": "b"}, facts_json="{}"
    )


async def test_a_token_and_a_key_made_here_become_an_identity(service: Enrolling, tmp_path: Path) -> None:
    async with enrollment(service) as token:
        identity = await enrolled(token, tmp_path)
    asked = service.asked[0]
    assert (asked.secret, asked.name, dict(asked.labels)) == (SECRET, "cam-3", {"a": "b"})
    assert (identity.node_id, identity.name, identity.site) == (NODE, "cam-3", "store-12")
    assert identity.certified.not_before < identity.certified.not_after
    assert identity.certified.authorities == (service.authority.ca.read_bytes(),)


async def test_hosts_that_are_left_open_are_the_one_that_was_dialled(service: Enrolling, tmp_path: Path) -> None:
    async with enrollment(service) as token:
        identity = await enrolled(token, tmp_path)
    assert (identity.coordinator, identity.broker_url) == ("127.0.0.1:7070", "mqtts://127.0.0.1:8883")
    assert identity.enrollment == token.addresses[0]


async def test_the_request_asks_for_nothing_but_a_certificate_for_its_key(service: Enrolling, tmp_path: Path) -> None:
    async with enrollment(service) as token:
        await enrolled(token, tmp_path)
    request = load_pem_x509_csr(service.asked[0].csr)
    assert not request.subject.rdns
    assert not list(request.extensions)


async def test_a_stranger_at_the_address_does_not_hear_the_secret(service: Enrolling, tmp_path: Path) -> None:
    stranger = Enrolling(Authority(tmp_path / "strangers"))
    async with enrollment(service) as token, enrollment(stranger) as other:
        wrong = JoinToken(SECRET, token.ca, other.addresses)
        with pytest.raises(Stranger, match=r"is not the coordinator that the token is for$"):
            await enrolled(wrong, tmp_path)
    assert stranger.asked == []


async def test_a_stranger_who_shows_the_right_authority_does_not_hear_the_secret(
    service: Enrolling, tmp_path: Path
) -> None:
    async with enrollment(service, presented=Authority(tmp_path / "strangers")) as token:
        with pytest.raises(Stranger, match="is not the coordinator that is trusted here"):
            await enrolled(token, tmp_path)
    assert service.asked == []


async def test_a_refusal_is_the_coordinators_own_line(service: Enrolling, tmp_path: Path) -> None:
    service.refusal = (grpc.StatusCode.PERMISSION_DENIED, "the token was used")
    async with enrollment(service) as token:
        with pytest.raises(Refused, match=r"^the token was used$"):
            await enrolled(token, tmp_path)


@pytest.mark.parametrize(
    ("field", "value", "complaint"),
    [
        ("node_id", "../etc", "node id '../etc' is not 32 hexadecimal digits"),
        ("name", "a/b", "node name 'a/b' is not a name"),
        ("site", "#", "site '#' is not a name"),
        ("topic_prefix", "+", "topic prefix"),
        ("trusted_keys", [b"short"], "raw Ed25519 keys of 32 bytes"),
        ("broker_url", "mqtt://10.0.0.1", "not on the loopback interface"),
        ("certificate", b"garbage", "a certificate is not one in PEM"),
        ("authorities", [], "no authority came with the certificate"),
    ],
)
async def test_an_answer_that_breaks_the_contract_is_refused(
    service: Enrolling, tmp_path: Path, field: str, value: object, complaint: str
) -> None:
    service.changes[field] = value
    async with enrollment(service) as token:
        with pytest.raises(Refused, match=rf"is not in order: .*{complaint}"):
            await enrolled(token, tmp_path)


async def test_the_time_is_told_without_a_certificate(service: Enrolling, tmp_path: Path) -> None:
    async with enrollment(service) as token:
        sealed = await link.ask_time(token.addresses[0], service.authority.ca, b"n" * 16)
    assert sealed == b"time of " + b"n" * 16


async def test_a_renewal_proves_the_key_and_asks_for_the_same_one(service: Enrolling, tmp_path: Path) -> None:
    key, old = tmp_path / "node.key", tmp_path / "node.pem"
    async with enrollment(service) as token:
        old.write_bytes((await enrolled(token, tmp_path)).certified.certificate)
        renewed = await link.renew(token.addresses[0], service.authority.ca, old, key, b"n" * 16)
    first, asked = service.asked
    public = load_pem_x509_csr(asked.csr).public_key()
    assert public == load_pem_x509_csr(first.csr).public_key()
    assert isinstance(public, EllipticCurvePublicKey)
    public.verify(asked.signature, b"challenge" + asked.csr, ECDSA(SHA256()))
    assert asked.certificate == old.read_bytes()
    assert renewed.time == b"time of " + b"n" * 16
    assert renewed.certified.certificate != old.read_bytes()
