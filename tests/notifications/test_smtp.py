"""Real SMTP to a real server."""

from __future__ import annotations

import pytest

from apps.notifications.choices import ErrorKind
from apps.notifications.gateways import Outcome, Outgoing
from apps.notifications.gateways.smtp import SMTPGateway, message
from tests.notifications.posts import Post, post_office


def gateway(post: Post, **options) -> SMTPGateway:
    setup = {
        "host": "127.0.0.1",
        "port": post.port,
        "security": "none",
        "sender": "Ümlaut & Co <desk@example.com>",
    }
    return SMTPGateway(setup | options, {})


def outgoing(number: int = 1, **fields) -> Outgoing:
    return Outgoing(
        **{
            "delivery": number,
            "key": f"eml-{number}",
            "to": f"customer{number}@example.org",
            "subject": f"Number {number}",
            "text": f"Hello {number}",
        }
        | fields
    )


def send(made: SMTPGateway, *batch: Outgoing) -> dict[int, Outcome]:
    outcomes = list(made.send(batch))
    made.close()
    assert len(outcomes) == len(batch)
    return {outcome.delivery: outcome for outcome in outcomes}


@pytest.mark.parametrize("pipelining", [True, False])
@pytest.mark.parametrize("connections", [1, 3])
def test_a_batch_arrives_once_each_over_kept_connections(pipelining, connections):
    with post_office(pipelining=pipelining) as post:
        made = gateway(post, connections=connections)
        first = list(made.send([outgoing(number) for number in range(1, 21)]))
        second = list(made.send([outgoing(number) for number in range(21, 41)]))
        made.close()
    assert [outcome.error for outcome in first + second] == [None] * 40
    assert sorted(mail["Message-ID"] for mail in post.mails) == sorted(
        f"<eml-{n}@example.com>" for n in range(1, 41)
    )
    assert {tuple(to) for _, to in post.envelopes} == {(f"customer{n}@example.org",) for n in range(1, 41)}
    assert post.connections == connections


@pytest.mark.parametrize(
    "text",
    ["plain", "dots\n.\n..\n.more\n", "Grüße 🙂\nzweite Zeile", "x" * 3000, "bare\rbreaks\r\nand\nmore", ""],
)
def test_a_text_arrives_as_it_was(text):
    with post_office() as post:
        send(gateway(post), outgoing(text=text, html=f"<p>{text}</p>"))
    plain, html = post.mails[0].iter_parts()
    lines = text.replace("\r\n", "\n").replace("\r", "\n")
    assert plain.get_content().replace("\r\n", "\n").rstrip("\n") == lines.rstrip("\n")
    assert html.get_content().replace("\r\n", "\n").strip() == f"<p>{lines}</p>"


def test_headers_are_encoded_and_kept():
    with post_office() as post:
        headers = {"List-Unsubscribe": "<https://example.com/u/" + "x" * 300 + ">", "In-Reply-To": "<a@b>"}
        send(gateway(post), outgoing(subject=("Termin für Zoë " * 12).strip(), headers=headers))
    mail = post.mails[0]
    assert mail["Subject"] == ("Termin für Zoë " * 12).strip()
    assert mail["From"].addresses[0].display_name == "Ümlaut & Co"
    assert mail["List-Unsubscribe"] == headers["List-Unsubscribe"]
    assert mail["In-Reply-To"] == "<a@b>"


@pytest.mark.parametrize(
    "fields",
    [
        {"headers": {"X-A": "a\r\nBcc: other@example.org"}},
        {"headers": {"X-A\r\nBcc": "a"}},
        {"subject": "a\r\nBcc: other@example.org"},
        {"to": "a@b.example\r\nRCPT TO:<c@d.example>"},
        {"to": "a@b.example>,<c@d.example"},
        {"to": "nobody"},
        {"to": "zoë@example.org"},
    ],
)
def test_what_would_break_out_is_refused_and_hurts_no_other(fields):
    with post_office() as post:
        outcomes = send(gateway(post), outgoing(1), outgoing(2, **fields), outgoing(3))
    assert [outcomes[number].error for number in (1, 2, 3)] == [None, ErrorKind.PERMANENT, None]
    assert len(post.mails) == 2


@pytest.mark.parametrize("pipelining", [True, False])
@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        ("550 5.1.1 no such user customer2@example.org", ErrorKind.BAD_ADDRESS),
        ("550 no such user", ErrorKind.BAD_ADDRESS),
        ("550 5.7.1 not welcome", ErrorKind.PERMANENT),
        ("552 5.2.2 full", ErrorKind.PERMANENT),
        ("450 4.2.0 come back", ErrorKind.TEMPORARY),
        ("450 4.7.28 slow down", ErrorKind.RATE_LIMITED),
    ],
)
def test_a_refused_recipient_hurts_no_other(answer, kind, pipelining):
    with post_office(pipelining=pipelining, answers={"customer2@example.org": answer}) as post:
        outcomes = send(gateway(post, connections=1), *(outgoing(number) for number in range(1, 6)))
    assert outcomes[2].error == kind
    assert "example.org" not in outcomes[2].detail
    assert sorted(mail["Subject"] for mail in post.mails) == [f"Number {n}" for n in (1, 3, 4, 5)]
    assert [outcomes[number].error for number in (1, 3, 4, 5)] == [None] * 4


def test_a_refused_text_is_told():
    with post_office() as post:
        post.on_mail = lambda _server: "554 5.6.0 spam"
        assert send(gateway(post), outgoing())[1].error == ErrorKind.PERMANENT


def test_a_server_that_is_away_is_unreachable_at_once_for_all():
    with post_office() as post:
        made = gateway(post)
    outcomes = list(made.send([outgoing(number) for number in range(1, 101)]))
    assert {outcome.error for outcome in outcomes} == {ErrorKind.UNREACHABLE}
    assert len(outcomes) == 100


def test_a_connection_lost_after_the_text_leaves_the_outcome_unknown():
    with post_office() as post:
        seen = []

        def reset(server):
            seen.append(1)
            if len(seen) == 2:
                server.transport.abort()
            return

        post.on_mail = reset
        outcomes = send(gateway(post, connections=1), *(outgoing(number) for number in range(1, 6)))
    assert [outcomes[number].error for number in range(1, 6)] == [None, ErrorKind.UNKNOWN, None, None, None]
    # The server took it before it broke off: what nobody could know here.
    assert len(post.mails) == 5


def test_a_kept_connection_that_ended_meanwhile_is_renewed_unseen():
    with post_office() as post:
        made = gateway(post, connections=1)
        servers = []
        post.on_mail = lambda server: servers.append(server)
        assert [outcome.error for outcome in made.send([outgoing(1)])] == [None]
        servers[0]._loop.call_soon_threadsafe(servers[0].transport.close)
        assert [outcome.error for outcome in made.send([outgoing(2), outgoing(3)])] == [None, None]
        made.close()
    assert post.connections == 2
    assert len(post.mails) == 3


def test_a_name_may_hold_quotes():
    built = message.build(
        outgoing(),
        sender='"A \\"quoted\\" name" <a@example.com>',
        to="b@example.com",
        date="now",
        domain="example.com",
    )
    assert b'From: "A \\"quoted\\" name" <a@example.com>' in built
