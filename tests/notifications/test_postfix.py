"""A real Postfix, of its own and on loopback: it takes our mails encrypted and passes them on to a test's server."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from apps.notifications.choices import ErrorKind
from apps.notifications.gateways.smtp import SMTPGateway
from tests.notifications.certificates import Certificate, make_certificate
from tests.notifications.posts import Post, post_office
from tests.notifications.test_smtp import outgoing

ROOT = Path(__file__).resolve().parents[2]
MASTER = Path("/usr/share/postfix/master.cf.dist")
MAILS = 60
SETTINGS = """
compatibility_level = 3.6
queue_directory = {folder}/queue
data_directory = {folder}/data
maillog_file = {folder}/log
maillog_file_prefixes = {folder}
mail_owner = postfix
setgid_group = postdrop
myhostname = postfix.example.com
mydestination =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mynetworks = 127.0.0.0/8
relayhost = [127.0.0.1]:{onward}
smtp_dns_support_level = disabled
smtp_host_lookup = native
smtp_tls_security_level = none
smtpd_tls_security_level = encrypt
smtpd_tls_cert_file = {certificate}
smtpd_tls_key_file = {key}
smtpd_peername_lookup = no
smtpd_recipient_restrictions =
    check_recipient_access inline:{{ {{ customer2@example.org = 550 5.1.1 no such user }},
        {{ customer5@example.org = 450 4.2.0 not now }} }}, permit_mynetworks, reject
"""


@dataclass(frozen=True)
class Postfix:
    port: int
    certificate: Path
    onward: Post


def _why_not() -> str:
    if os.geteuid() != 0:
        return "Postfix needs root"
    if shutil.which("postfix") is None:
        done = subprocess.run([ROOT / "tests" / "install", "postfix"], capture_output=True, text=True)
        if done.returncode:
            return f"Postfix cannot be installed: {done.stderr[-200:]}"
    return ""


@pytest.fixture(scope="module")
def postfix() -> Iterator[Postfix]:
    if why := _why_not():
        pytest.skip(why)
    # Its processes run under accounts of their own, which must get through to it.
    folder = Path(tempfile.mkdtemp(prefix="eml-postfix."))
    folder.chmod(0o755)
    with post_office() as onward:
        certificate = make_certificate(folder)
        port = _set_up(folder, onward, certificate)
        command = ["postfix", "-c", str(folder / "etc")]
        subprocess.run([*command, "start"], check=True, capture_output=True, timeout=60)
        try:
            _wait_for(port)
            yield Postfix(port, certificate.certificate, onward)
        finally:
            subprocess.run([*command, "stop"], check=False, capture_output=True, timeout=60)
            shutil.rmtree(folder)


def _set_up(folder: Path, onward: Post, certificate: Certificate) -> int:
    for name in ("etc", "queue", "data"):
        (folder / name).mkdir()
    shutil.chown(folder / "data", "postfix")
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    settings = SETTINGS.format(
        folder=folder, onward=onward.port, certificate=certificate.certificate, key=certificate.key
    )
    (folder / "etc" / "main.cf").write_text(settings)
    master = re.sub(r"^smtp( +inet .*)$", rf"127.0.0.1:{port}\1", MASTER.read_text(), flags=re.MULTILINE)
    # In this folder there is nothing to be shut up in.
    master = re.sub(r"^(\S+ +\S+ +\S+ +\S+ +)[y-]( )", r"\1n\2", master, flags=re.MULTILINE)
    (folder / "etc" / "master.cf").write_text(master)
    return port


def _wait_for(port: int) -> None:
    until = time.monotonic() + 60
    while time.monotonic() < until:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise AssertionError("Postfix does not answer")


@pytest.mark.slow
def test_a_batch_goes_through_postfix_once_each_and_refusals_hurt_no_other(
    postfix: Postfix, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(postfix.certificate))
    options = {
        "host": "127.0.0.1",
        "port": postfix.port,
        "security": "starttls",
        "sender": "desk@example.com",
    }
    made = SMTPGateway(options, {})
    outcomes = {one.delivery: one for one in made.send([outgoing(n) for n in range(1, MAILS + 1)])}
    made.close()
    assert outcomes.pop(2).error == ErrorKind.BAD_ADDRESS
    assert outcomes.pop(5).error == ErrorKind.TEMPORARY
    assert {one.error for one in outcomes.values()} == {None}
    assert len(outcomes) == MAILS - 2
    _wait_until_passed_on(postfix.onward, MAILS - 2)
    ids = sorted(mail["Message-ID"] for mail in postfix.onward.mails)
    assert ids == sorted(f"<eml-{number}@example.com>" for number in outcomes)


def _wait_until_passed_on(onward: Post, count: int) -> None:
    until = time.monotonic() + 60
    while len(onward.mails) < count:
        assert time.monotonic() < until, f"{len(onward.mails)} of {count} were passed on"
        time.sleep(0.1)
