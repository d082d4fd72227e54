"""B68 and B69: what others name is called only if it lies in the internet, and nobody holds us up."""

from __future__ import annotations

import gzip
import ipaddress
import ssl
import threading
import time
from contextlib import suppress

import httpcore
import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.notifications.gateways import addresses, net

from .local import Reply, serving

pytestmark = pytest.mark.embedded

INSIDE = [
    "127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0",
    "224.0.0.1", "240.0.0.1", "255.255.255.255", "192.0.2.1", "198.18.0.1", "192.88.99.1",
    "::1", "::", "fc00::1", "fd12::1", "fe80::1", "fec0::1", "ff02::1", "2001:db8::1", "::ffff:127.0.0.1",
    "::ffff:10.0.0.1", "::127.0.0.1", "64:ff9b::7f00:1", "64:ff9b:1::1", "2002:7f00:1::",
    "2001:0:0:0:0:0:80ff:fffe",
]  # fmt: skip


@pytest.mark.parametrize("written", INSIDE)
def test_b68_address_inside_is_not_public(written: str) -> None:
    assert not addresses.is_public(ipaddress.ip_address(written))


@pytest.mark.parametrize("written", ["8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"])
def test_address_of_the_internet_is_public(written: str) -> None:
    assert addresses.is_public(ipaddress.ip_address(written))


@given(st.ip_addresses(v=4))
def test_b68_every_spelling_of_an_address_is_judged_alike(address: ipaddress.IPv4Address) -> None:
    number = int(address)
    spellings = [f"::ffff:{address}", str(ipaddress.IPv6Address((0x0064FF9B << 96) | number))]
    for spelling in spellings:
        assert addresses.is_public(ipaddress.ip_address(spelling)) == addresses.is_public(address)


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/", "http://[::1]/", "http://0.0.0.0/", "http://169.254.169.254/latest/meta-data",
        "http://10.0.0.1/", "http://[fc00::1]/", "http://[::ffff:127.0.0.1]/", "http://2130706433/",
        "http://0177.0.0.1/", "http://127.1/", "http://localhost/", "https://127.0.0.1/", "http://0x7f.1/",
        "http://127.0.0.1:22/", "http://example.com:5432/", "http://example.com:6379/",
        "https://example.com:5672/", "file:///etc/passwd", "gopher://example.com/", "ftp://example.com/",
        "https://user:secret@example.com/", "https://user@example.com/", "https:///path", "//example.com/",
        "", "nonsense", "https://exa mple.com/", "https://example.com\\@127.0.0.1/", "http://example.com:99999/",
        "https://example.com/" + "a" * 600, "https://example.com/\r\nX: y",
    ],
)  # fmt: skip
def test_b68_address_is_refused_on_save(url: str) -> None:
    with pytest.raises(net.Refused):
        net.check(url)


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1/", "http://2130706433/", "http://0177.0.0.1/", "http://127.1/", "http://[::1]/"]
)
def test_b68_address_is_refused_at_connect(url: str) -> None:
    with pytest.raises(net.Refused):
        net.Caller().call("GET", url)


def names(*found: str) -> net.Resolve:
    """Answers for one look-up after the other, then the last one for ever."""
    rest = list(found)

    def resolve(host: str, port: int) -> list[net.IPAddress]:
        here = rest.pop(0) if len(rest) > 1 else rest[0]
        return [ipaddress.ip_address(written) for written in here.split()]

    return resolve


def test_b68_name_that_leads_inside_is_refused() -> None:
    with pytest.raises(net.Refused):
        net.check("https://inside.example/", resolve=names("10.0.0.7"))
    with pytest.raises(net.Refused):
        net.Caller(resolve=names("10.0.0.7")).call("GET", "https://inside.example/")


def test_b68_name_with_one_address_inside_is_refused() -> None:
    with pytest.raises(net.Refused):
        net.Caller(resolve=names("8.8.8.8 127.0.0.1")).call("GET", "https://mixed.example/")


def test_b68_name_that_changes_between_save_and_connect_is_refused() -> None:
    resolve = names("8.8.8.8", "127.0.0.1")
    net.check("http://rebinding.example/", resolve=resolve)
    with pytest.raises(net.Refused):
        net.Caller(resolve=resolve).call("GET", "http://rebinding.example/")


def test_b68_connection_goes_to_the_address_that_was_checked(settings) -> None:
    """One look-up per connection; the host stays as it was written."""
    with serving() as server:
        host = f"receiver.example:{server.port}"
        settings.OUTGOING_HOSTS = {host}
        looked = []

        def resolve(name: str, port: int) -> list[net.IPAddress]:
            looked.append(name)
            return [ipaddress.ip_address("127.0.0.1")]

        answer = net.Caller(resolve=resolve).call("POST", f"http://{host}/x", content=b"hello")
    assert (answer.status, looked) == (200, ["receiver.example"])
    assert (server.calls[0].headers["host"], server.calls[0].body) == (host, b"hello")


def test_name_that_is_not_known_may_be_saved_and_is_not_reached() -> None:
    def resolve(host: str, port: int) -> list[net.IPAddress]:
        raise httpcore.ConnectError("name not found")

    net.check("https://not-yet.example/", resolve=resolve)
    with pytest.raises(net.Unreachable):
        net.Caller(resolve=resolve).call("GET", "https://not-yet.example/")


def test_b68_bad_certificate_is_not_accepted(settings, tmp_path) -> None:
    """A server that is not what its certificate says: here one without any that we know."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(_self_signed(tmp_path))
    with serving() as server:
        server.server.socket = context.wrap_socket(server.server.socket, server_side=True)
        settings.OUTGOING_HOSTS = {server.host}
        with pytest.raises(net.Unreachable):
            net.Caller().call("GET", f"https://{server.host}/")
    assert server.calls == []


def _self_signed(folder) -> str:
    from datetime import UTC, datetime, timedelta

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    path = folder / "server.pem"
    path.write_bytes(
        certificate.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return str(path)


def test_b69_silence_ends_with_the_time(serve) -> None:
    released = threading.Event()

    def silent(call) -> Reply:
        released.wait(20)
        return Reply()

    server = serve(silent)
    started = time.monotonic()
    with pytest.raises(net.Unanswered):
        net.Caller(seconds=0.3).call("POST", server.url)
    released.set()
    assert time.monotonic() - started < 10


def test_b69_trickle_ends_with_the_time(serve) -> None:
    """Each byte comes in time, all of them never."""
    stopped = threading.Event()

    def trickle(wire) -> None:
        wire.write(b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n")
        with suppress(OSError):
            while not stopped.wait(0.02):
                wire.write(b"x")
                wire.flush()

    server = serve(lambda call: Reply(raw=trickle))
    with pytest.raises(net.Unanswered):
        net.Caller(seconds=0.5).call("POST", server.url)
    stopped.set()


def test_b69_endless_answer_is_read_to_64_kb(serve) -> None:
    def endless(wire) -> None:
        wire.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
        with suppress(OSError):
            while True:
                wire.write(b"1000\r\n" + b"x" * 4096 + b"\r\n")

    server = serve(lambda call: Reply(raw=endless))
    answer = net.Caller().call("GET", server.url)
    assert (len(answer.body), answer.is_cut) == (net.MOST_READ, True)


def test_b69_compressed_bomb_stays_packed(serve) -> None:
    packed = gzip.compress(b"\0" * 50_000_000)
    server = serve(lambda call: Reply(body=packed, headers={"content-encoding": "gzip"}))
    answer = net.Caller().call("GET", server.url)
    assert answer.body == packed[: net.MOST_READ]


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_b69_redirect_is_not_followed(serve, status: int) -> None:
    server = serve(lambda call: Reply(status, headers={"location": "http://127.0.0.1:22/"}))
    assert net.Caller().call("POST", server.url).status == status
    assert len(server.calls) == 1


@pytest.mark.parametrize(
    "said", [b"", b"SSH-2.0-OpenSSH_9\r\n", b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nx"]
)
def test_b69_what_is_not_http_or_breaks_off_is_unanswered(serve, said: bytes) -> None:
    server = serve(lambda call: Reply(raw=lambda wire: wire.write(said)))
    with pytest.raises(net.Unanswered):
        net.Caller().call("POST", server.url)


def test_nobody_listens(settings) -> None:
    with serving() as server:
        settings.OUTGOING_HOSTS = {server.host}
    with pytest.raises(net.Unreachable):
        net.Caller().call("POST", server.url)


@pytest.mark.parametrize(
    ("said", "seconds"), [("7", 7), ("999999", 86_400), ("soon", None), ("-1", None), ("", None)]
)
def test_retry_after_is_a_sensible_number(said: str, seconds: int | None) -> None:
    assert net.Answer(429, {"retry-after": said}, b"").retry_after == seconds
