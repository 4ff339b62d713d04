"""Who may ask: keys, certificates, scopes; and which ports may be opened at all."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_node.config import ClientLimits, LocalServing
from edge_node.errors import BadInput, NearfieldError, Refused, WrongUsage
from edge_node.serving.firewall.exposure import check_exposure, settings_of
from edge_node.serving.firewall.guard import Asking, Firewall, Guard, Rules
from edge_node.serving.firewall.key_file import KeyFile, read_keys, write_keys
from edge_node.serving.firewall.keys import Key, bearer, digest_of_key, text_of, whose
from edge_node.serving.inference import Caller, Kind, ServingError
from edge_node.serving.settings import Limits, ServingSettings, Tls

APP, ADMIN = text_of(bytes(32)), text_of(bytes(31) + b"\1")
KEYS = (Key("app", ("infer",), digest_of_key(APP)), Key("boss", ("admin", "infer"), digest_of_key(ADMIN)))
ASKED = Guard(Rules(True, lambda: KEYS, {"operator:alice": ("admin",)}))


def _refused(guard: Guard, asking: Asking, scope: str) -> tuple[Kind, str]:
    with pytest.raises(ServingError) as refusal:
        guard.admit(asking, scope)
    return refusal.value.kind, refusal.value.cause


def _asking(key: str = "", certificate: str = "") -> Asking:
    return Asking("10.0.0.2", certificate, f"Bearer {key}" if key else "")


def test_where_nothing_is_asked_anybody_may_do_anything() -> None:
    with Guard().admit(Asking("127.0.0.1"), "admin") as caller:
        assert caller == Caller("127.0.0.1")


def test_a_key_may_do_what_its_scopes_say() -> None:
    assert ASKED.admit(_asking(APP), "infer").caller.name == "key:app"
    assert _refused(ASKED, _asking(APP), "admin") == (Kind.DENIED, "scope")
    assert ASKED.admit(_asking(ADMIN), "admin").caller.scopes == {"infer", "admin"}


def test_a_certificate_may_infer_and_what_is_said_of_its_name() -> None:
    assert ASKED.admit(_asking(certificate="camera"), "infer").caller.name == "camera"
    assert _refused(ASKED, _asking(certificate="camera"), "admin") == (Kind.DENIED, "scope")
    assert ASKED.admit(_asking(certificate="operator:alice"), "admin").caller.name == "operator:alice"


def test_a_certificate_cannot_be_taken_for_a_key() -> None:
    assert ASKED.admit(_asking(certificate="key:boss"), "infer").caller.scopes == {"infer"}


def test_a_stranger_may_ask_for_health_alone() -> None:
    assert _refused(ASKED, _asking(), "infer") == (Kind.UNKNOWN_CALLER, "unknown_caller")
    assert ASKED.admit(_asking(), "").caller.scopes == frozenset()
    assert _refused(ASKED, _asking("nfk_wrong"), "") == (Kind.UNKNOWN_CALLER, "unknown_caller")


def test_a_wrong_key_is_not_helped_by_a_certificate() -> None:
    assert _refused(ASKED, _asking("nfk_wrong", "camera"), "infer")[0] is Kind.UNKNOWN_CALLER


def test_whoever_guesses_keys_is_slowed_down() -> None:
    settings = ServingSettings("", keys="/nowhere", limits=Limits(requests_per_s=1.0, burst=3))
    guard = Firewall(settings).guard("grpc")
    refusals = [_refused(guard, _asking("nfk_guess"), "infer")[0] for _ in range(4)]
    assert refusals == [Kind.UNKNOWN_CALLER] * 3 + [Kind.BUSY]


def test_the_ports_of_a_process_share_a_clients_limits() -> None:
    settings = ServingSettings("", guarded=(), limits=Limits(concurrent=1))
    firewall = Firewall(settings)
    with firewall.guard("grpc").admit(Asking("127.0.0.1"), "infer"):
        assert _refused(firewall.guard("http"), Asking("127.0.0.1"), "infer") == (Kind.BUSY, "concurrent")
    firewall.guard("http").admit(Asking("127.0.0.1"), "infer")


@given(st.text(max_size=200))
def test_any_header_is_a_key_or_none(text: str) -> None:
    key = bearer(text)
    assert key is None or whose(KEYS, key) is None or key in (APP, ADMIN)


def test_the_file_has_no_key_in_it_and_is_its_owners_alone(tmp_path: Path) -> None:
    file = tmp_path / "new" / "keys"
    write_keys(file, KEYS)
    assert read_keys(file) == KEYS
    assert APP not in file.read_text()
    assert file.stat().st_mode & 0o777 == 0o600
    file.chmod(0o644)
    with pytest.raises(Refused, match="chmod 600"):
        read_keys(file)


def test_a_file_that_is_none_is_named(tmp_path: Path) -> None:
    (tmp_path / "keys").write_text("no keys")
    (tmp_path / "keys").chmod(0o600)
    with pytest.raises(BadInput, match="is no file of keys"):
        read_keys(tmp_path / "keys")


def test_a_deleted_key_counts_no_more_and_a_broken_file_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    write_keys(path, KEYS)
    file = KeyFile(path)
    assert (file.look(), file.keys) == (True, KEYS)
    assert not file.look()
    write_keys(path, KEYS[:1])
    assert (file.look(), file.keys) == (True, KEYS[:1])
    path.write_text("broken")
    path.chmod(0o600)
    assert (file.look(), file.keys) == (False, KEYS[:1])


FILES = {"tls_cert": "c.pem", "tls_key": "k.pem"}


@pytest.mark.parametrize(
    ("given_", "error", "says"),
    [
        ({"grpc": "0.0.0.0:8001"}, Refused, "key_file"),
        ({"http": "[::]:8000", **FILES}, Refused, "key_file"),
        ({"metrics": "camera.local:8002", "key_file": "keys"}, Refused, "must speak TLS"),
        ({"require_key": True}, Refused, "key_file"),
        ({"require_key": True, "client_ca": "ca.pem"}, Refused, "must speak TLS"),
        ({"tls_cert": "c.pem"}, WrongUsage, "both"),
        ({"self_signed": True, **FILES}, WrongUsage, "leave one"),
    ],
)
def test_an_unsafe_port_is_not_opened(given_: dict[str, object], error: type[NearfieldError], says: str) -> None:
    with pytest.raises(error, match=says) as refusal:
        check_exposure(LocalServing(**given_))  # type: ignore[arg-type]  # by name
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    "given_",
    [
        {},
        {"grpc": "localhost:0", "http": "[::1]:1", "metrics": "127.9.9.9:2"},
        {"grpc": "0.0.0.0:8001", "key_file": "keys", **FILES},
        {"grpc": "0.0.0.0:8001", "client_ca": "ca.pem", "self_signed": True},
        {"require_key": True, "key_file": "keys"},
    ],
)
def test_a_safe_port_is_opened(given_: dict[str, object]) -> None:
    check_exposure(LocalServing(**given_))  # type: ignore[arg-type]  # by name


def test_only_ports_that_others_reach_are_guarded_and_bounded() -> None:
    local = settings_of(LocalServing(), "lanes")
    assert (local.guarded, local.tls, local.limits) == ((), None, Limits())
    beyond = settings_of(LocalServing(grpc="0.0.0.0:8001", key_file="keys", tls_cert="c", tls_key="k"), "lanes")
    assert (beyond.guarded, beyond.tls) == (("grpc",), Tls("k", "c"))
    assert beyond.limits.concurrent > 0
    assert beyond.request_bytes < local.request_bytes
    chosen = LocalServing(grpc="0.0.0.0:1", limits=ClientLimits(requests_per_s=5, concurrent=0))
    assert settings_of(chosen, "lanes").limits == Limits(5, 0, 0, 64)
