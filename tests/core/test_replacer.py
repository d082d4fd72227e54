"""The replacer by itself: what it refuses, what it fills in, and that it stays small (B50, B51, B53)."""

from __future__ import annotations

import html

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.core import replacer
from apps.core.replacer import Fault, Placeholder

pytestmark = pytest.mark.embedded

VALUES = {"customer.name": "Ada <Lovelace>", "order.at": "noon", "order.link": ""}


def _forms(name: str) -> tuple[str, ...] | None:
    return {"customer.name": (), "order.at": ("date", "time"), "order.link": ()}.get(name)


def _value(placeholder: Placeholder) -> str:
    return VALUES.get(placeholder.name, "") + (f"@{placeholder.form}" if placeholder.form else "")


def _filled(text: str) -> str:
    return replacer.compiled(text).fill(_value, default=lambda name: "?")


def test_fills_in_names_forms_and_fallbacks() -> None:
    assert _filled("100 % {customer.name}, {order.at:time}!") == "100 % Ada <Lovelace>, noon@time!"
    assert _filled("{order.link|none} {order.link|} {order.link}") == "none  ?"
    assert _filled("nothing") == "nothing"


def test_html_escapes_values_and_not_the_text_around_them() -> None:
    text = '<b>{customer.name}</b> <a href="{order.link|https://example.com/?a=1&amp;b=2}">x</a> {order.link}'
    assert replacer.compiled(text).fill_html(_value, default=lambda name: "<?>") == (
        '<b>Ada &lt;Lovelace&gt;</b> <a href="https://example.com/?a=1&amp;b=2">x</a> &lt;?&gt;'
    )


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("{{ settings.SECRET_KEY }}", Fault("foreign", "{")),
        ("{% include 'x' %}", Fault("foreign", "{")),
        ("{0.__class__}", Fault("foreign", "{")),
        ("%(x)s", Fault("foreign", "%(x)s")),
        ("${x}", Fault("foreign", "{")),
        ("{customer.name", Fault("foreign", "{")),
        ("{customer.password}", Fault("unknown", "{customer.password}")),
        ("{customer.name:date}", Fault("form", "{customer.name:date}")),
        ("{order.at:year}", Fault("form", "{order.at:year}")),
        ("{customer.name}" * 51, Fault("too_many")),
        ("{order.at:date|soon} {customer.name}", None),
    ],
)
def test_b50_b51_says_what_is_wrong(text: str, fault: Fault | None) -> None:
    assert replacer.fault(text, forms=_forms) == fault


def test_values_are_never_looked_at_again() -> None:
    text = replacer.compiled("{customer.name} %s {customer.name}")
    assert text.fill(lambda _: "{order.at} %s", default=str) == "{order.at} %s %s {order.at} %s"


@pytest.mark.parametrize("value", ["x", "é", "😀", "<", "&", '"'])
def test_b51_what_comes_out_is_at_most_64_kib_and_whole(value: str) -> None:
    text = replacer.compiled("<p>" + "{customer.name}" * 50 + "</p>")
    plain = text.fill(lambda _: value * 30_000, default=str)
    markup = text.fill_html(lambda _: value * 30_000, default=str)
    for filled, said in ((plain, plain), (markup, html.unescape(markup))):
        assert replacer.MOST_BYTES - 8 <= len(filled.encode()) <= replacer.MOST_BYTES
        # Not half a character and not half an entity is left at the end.
        assert said.removeprefix("<p>").removesuffix("</p>").strip(value) == ""


def test_names_of_a_text() -> None:
    assert replacer.names("{order.at:time} {customer.name|x} {nothing}") == {"order.at", "customer.name"}


def test_one_line_and_lines_leave_no_controls() -> None:
    assert replacer.one_line("a\r\nBcc: x\x00\u2028y", most=100) == "a Bcc: x y"
    assert replacer.lines("a\r\nb\x00c\x1b", most=100) == "a\nb c"


@given(st.text(max_size=300))
def test_any_text_is_refused_or_comes_out_as_it_is(text: str) -> None:
    if replacer.fault(text, forms=lambda name: None) is None:
        assert _filled(text) == text
