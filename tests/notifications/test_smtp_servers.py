"""Mail servers as they are met outside: encrypted, with a login, and breaking off among the commands of a mail."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.smtp import AuthResult, LoginPassword

from apps.notifications.choices import ErrorKind
from apps.notifications.gateways import Outcome
from apps.notifications.gateways.smtp import SMTPGateway
from tests.notifications.certificates import Certificate, make_certificate
from tests.notifications.posts import Post, post_office
from tests.notifications.test_smtp import outgoing

USER, PASSWORD = "desk", "s3cret-password"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return make_certificate(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def trusted(certificate: Certificate, monkeypatch: pytest.MonkeyPatch) -> Path:
    """As one of the authorities this machine trusts."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate.certificate))
    return certificate.certificate


def send(post: Post, count: int = 3, password: str = "", **options: Any) -> list[Outcome]:
    setup = {"host": "127.0.0.1", "port": post.port, "security": "none", "sender": "desk@example.com"}
    made = SMTPGateway(setup | {"connections": 1} | options, {"password": password})
    outcomes = sorted(made.send([outgoing(n) for n in range(1, count + 1)]), key=lambda one: one.delivery)
    made.close()
    assert [one.delivery for one in outcomes] == list(range(1, count + 1))
    return outcomes


def arrived(post: Post) -> list[str]:
    return sorted(mail["Subject"] for mail in post.mails)


def is_encrypted(post: Post) -> list[bool]:
    """Filled in while mails come."""
    seen: list[bool] = []
    post.on_mail = lambda server: seen.append(server.session.ssl is not None)  # type: ignore[func-returns-value]
    return seen


def test_starttls_encrypts_before_anything_is_said(certificate: Certificate, trusted: Path) -> None:
    with post_office(tls_context=certificate.server_context, require_starttls=True) as post:
        seen = is_encrypted(post)
        assert [one.error for one in send(post, security="starttls")] == [None] * 3
    assert seen == [True] * 3
    assert len(post.mails) == 3


def test_tls_from_the_first_byte(certificate: Certificate, trusted: Path) -> None:
    with post_office(ssl_context=certificate.server_context) as post:
        assert [one.error for one in send(post, security="tls")] == [None] * 3
    assert len(post.mails) == 3


@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_a_server_nobody_vouches_for_gets_nothing(certificate: Certificate, security: str) -> None:
    context = "tls_context" if security == "starttls" else "ssl_context"
    with post_office(**{context: certificate.server_context}) as post:
        outcomes = send(post, security=security, username=USER, password=PASSWORD)
    assert {one.error for one in outcomes} == {ErrorKind.UNREACHABLE}
    assert post.mails == []


def test_a_server_without_starttls_gets_nothing_in_clear() -> None:
    with post_office() as post:
        outcomes = send(post, security="starttls", username=USER, password=PASSWORD)
    assert {one.error for one in outcomes} == {ErrorKind.UNREACHABLE}
    assert post.mails == []


def check_login(server: Any, session: Any, envelope: Any, mechanism: str, data: LoginPassword) -> AuthResult:
    given = (data.login.decode(), data.password.decode())
    return AuthResult(success=given == (USER, PASSWORD), handled=False)


@pytest.mark.parametrize("password", [PASSWORD, "wrong-one"])
def test_login_lets_in_whoever_knows_the_password(
    certificate: Certificate, trusted: Path, password: str
) -> None:
    options = {"tls_context": certificate.server_context, "auth_required": True, "authenticator": check_login}
    with post_office(**options) as post:
        outcomes = send(post, security="starttls", username=USER, password=password)
    if password == PASSWORD:
        assert [one.error for one in outcomes] == [None] * 3
        assert len(post.mails) == 3
    else:
        assert {one.error for one in outcomes} == {ErrorKind.UNREACHABLE}
        assert "535" in outcomes[0].detail
        assert password not in outcomes[0].detail
        assert post.mails == []


def test_a_password_that_cannot_be_sent_reaches_nobody(certificate: Certificate, trusted: Path) -> None:
    options = {"tls_context": certificate.server_context, "auth_required": True, "authenticator": check_login}
    with post_office(**options) as post:
        outcomes = send(post, security="starttls", username=USER, password="pässword")
    assert {one.error for one in outcomes} == {ErrorKind.UNREACHABLE}
    assert "ssword" not in outcomes[0].detail


@pytest.mark.parametrize("pipelining", [True, False])
def test_a_connection_that_ends_in_the_middle_of_a_group_is_made_anew_and_nothing_is_lost(
    pipelining: bool,
) -> None:
    with post_office(pipelining=pipelining) as post:
        ends: list[str] = []

        def end_once(server: Any, address: str) -> None:
            if address.startswith("customer3@") and not ends:
                ends.append(address)
                server.transport.close()

        post.on_recipient = end_once
        outcomes = send(post, 5)
    assert [one.error for one in outcomes] == [None] * 5
    assert arrived(post) == [f"Number {n}" for n in range(1, 6)]
    assert post.connections == 2


@pytest.mark.parametrize("how", ["closes", "421"])
def test_a_mail_at_which_the_server_always_breaks_off_hurts_no_other(how: str) -> None:
    with post_office() as post:
        if how == "421":
            post.answers = {"customer3@example.org": "421 4.3.2 shutting down"}
        else:
            post.on_recipient = lambda server, address: (
                server.transport.close() if address.startswith("customer3@") else None
            )
        outcomes = send(post, 5)
    # It was surely not sent, so it is simply tried again.
    assert [one.error for one in outcomes] == [None, None, ErrorKind.TEMPORARY, None, None]
    assert arrived(post) == [f"Number {n}" for n in (1, 2, 4, 5)]


def test_permanent_and_temporary_refusals_in_one_batch_are_told_apart() -> None:
    answers = {
        "customer1@example.org": "550 5.1.1 no such user",
        "customer2@example.org": "451 4.3.0 try later",
        "customer4@example.org": "552 5.2.2 mailbox full",
    }
    with post_office(answers=answers) as post:
        outcomes = send(post, 5)
    kinds = [ErrorKind.BAD_ADDRESS, ErrorKind.TEMPORARY, None, ErrorKind.PERMANENT, None]
    assert [one.error for one in outcomes] == kinds
    assert arrived(post) == ["Number 3", "Number 5"]
