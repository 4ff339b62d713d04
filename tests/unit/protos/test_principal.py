"""Who a certificate's common name stands for."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protos.errors import ContractError
from protos.principal import COORDINATOR, NAMED_ROLES, Principal, Role, principal_of

NODE = "9f2c" * 8


@pytest.mark.parametrize(
    "principal",
    [Principal(Role.NODE, NODE), COORDINATOR, *(Principal(role, "dash-1") for role in NAMED_ROLES)],
)
def test_a_principal_survives_its_common_name(principal: Principal) -> None:
    assert principal_of(principal.common_name) == principal


@pytest.mark.parametrize(
    "text", ["", "admin", "admin:", "root:alice", "node:abc", "coordinator:", "admin:a/b", "admin:+", NODE.upper(), "#"]
)
def test_other_names_are_nobody(text: str) -> None:
    with pytest.raises(ContractError):
        principal_of(text)


@given(st.text())
def test_any_text_is_a_principal_or_refused(text: str) -> None:
    try:
        found = principal_of(text)
    except ContractError:
        return
    assert found.common_name == text
