"""What is done to a good request so that it is one no longer. Strategies of hypothesis; nothing here knows a door."""

from __future__ import annotations

import dataclasses
import json
from typing import Any
from urllib.parse import quote

from hypothesis import strategies as st

from .payloads import Payload

# A deep document and a long number are written by hand: json would refuse to.
VERBATIM = {
    "deep": b"[" * 33 + b"]" * 33,
    "deeper": b"[" * 100_000,
    "digits": b"1" * 5_000,
    "nan": b"NaN",
    "infinity": b"-Infinity",
    "huge": b"1e999",
    "nul": b'"a\\u0000b"',
    "surrogate": b'"\\ud800"',
    "key": b'{"\\u0000": 1, "\\ud800": 2}',
    "twice": b'{"a": 1, "a": 2}',
    "operator": b'{"$gt": ""}',
    "raw control": b'"a\x01b"',
    "not utf-8": b'"\xff\xfe"',
}
VALUES: list[Any] = [
    None, True, False, 0, -1, 1.0, 0.5, 2**31, 2**63, 10**30, "", " ", "x", "1", "0", [], [1], [None], {}, "null",
    "x" * 40_000, "\r\nBcc: x@example.com", "<script>", "'; DROP TABLE users_user; --", "../../etc/passwd",
    "Europe/Foo", "10000-01-01T00:00:00Z", "0000-00-00", "2026-02-30T24:00:60Z", "9999-12-31T23:59:59-23:59",
    "\u202e\u200d\u0301" * 50, "１２３", "+49 30 112", "{0.__class__}", "{{ settings.SECRET_KEY }}",
]  # fmt: skip
BODIES = [
    b"", b"null", b"[]", b"{}", b'"x"', b"1", b"{", b"}", b'{"a":1}x', b"\xef\xbb\xbf{}", b"\xff", b"\x00", b"{'a': 1}",
    "{}".encode("utf-16"), b'{"a":1,}', b"[" * 5_000, b'{"a":' * 40 + b"1" + b"}" * 40, b" " * 200_000,
]  # fmt: skip
FORMS = [
    "", "text/plain", "application/xml", "application/json; charset=utf-16", "application/json; charset=bogus",
    "application/x-www-form-urlencoded", "multipart/form-data", "multipart/form-data; boundary=x", "a", "/", "*/*; q=x",
]  # fmt: skip
# Names somebody would like to set, and names of every language's object.
FOREIGN_NAMES = [
    "id", "pk", "role", "is_staff", "is_superuser", "team", "teams", "assignee", "agent", "user", "seq", "created_at",
    "status", "state", "org", "password", "__class__", "constructor", "", "x" * 3_000,
]  # fmt: skip
TEXTS = [
    "", " ", "0", "-1", "1.0", "abc", "9" * 30, "9" * 5_000, "1e9", "١٢", "%", "_", "\\", "a & | !", "null",
    "true", "a\x00b", "a\nb", "\ud800", "10000-01-01", "2026-02-30", "-password", "id;x", "team__secret", "cD0w", "p=x",
    "[]", "{}", "x" * 9_000, "'", '"', "<script>", "../../etc/passwd", "\u202e",
]  # fmt: skip
FOREIGN_PARAMETERS = [
    "format",
    "page",
    "offset",
    "limit",
    "ordering",
    "password",
    "user__password",
    "q\x00",
    "x[]",
    "_",
]
SEGMENTS = [
    "0", "-1", "+1", "1.0", "1e3", "abc", "9" * 30, "9" * 5_000, "١", "%00", "%0a1", "1%0d%0aX", "%2e%2e", "..", "%20",
    "%ff", "%ed%a0%80", "'", "1;x", "{}", "a%2fb", "null", "x" * 300,
]  # fmt: skip
HEADERS: list[tuple[str, list[str]]] = [
    ("Accept", [";;;", "text/html", "application/xml", "*/*;q=x", "", "a" * 5_000]),
    ("Accept-Language", ["de" * 50_000, "xx;q=2", "../../etc", "\x7f"]),
    ("Authorization", ["Bearer", "Bearer ", "Bearer a.b.c", "Bearer é", "Visitor x", "Basic eA==", "x" * 9_000]),
    ("Idempotency-Key", ["", " ", "x" * 300, "é", "a\tb", "not one", "0"]),
    ("If-Match", ["", "*", "W/", '"1', '"999999"', "x" * 9_000, "'", '"é"']),
    ("Origin", ["null", "https://evil.example", "http://"]),
    ("Cookie", ["session=; session=x", "=", "session=" + "x" * 5_000, '"']),
    ("Host", ["evil.example", "", "a, b", "testserver:99999", "[::1"]),
    ("Transfer-Encoding", ["chunked", "gzip, chunked"]),
    ("X-Forwarded-For", ["<script>", "1.2.3.4, x", "," * 3_000]),
    ("X-Forwarded-Host", ["evil.example"]),
    ("X-HTTP-Method-Override", ["DELETE"]),
    ("X-CSRFToken", ["", "x" * 9_000]),
    ("Range", ["bytes=0-", "bytes=9-1", "x"]),
    ("Content-Encoding", ["gzip", "x"]),
]  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Harm:
    """What takes the place of what would be right; None: that is left as it is."""

    field: tuple[str, bytes | None] | None = None  # its JSON; None: the field is left out
    body: bytes | None = None
    cut: int | None = None  # where the good body ends
    form: str | None = None
    query: tuple[tuple[str, str], ...] = ()
    segment: str | None = None
    header: tuple[str, str] | None = None
    verb: str | None = None

    def of(self, good: Payload) -> Payload:
        body = good.body if self.body is None else self.body
        if self.field is not None and good.content_type == "application/json":
            body = _with_field(json.loads(good.body or b"{}"), *self.field)
        form = good.content_type if self.form is None else self.form
        headers = good.headers | (dict([self.header]) if self.header else {})
        return Payload(body[: self.cut], form, headers)

    @property
    def query_string(self) -> str:
        pairs = (f"{_quoted(name)}={_quoted(value)}" for name, value in self.query)
        return "?" + "&".join(pairs) if self.query else ""


def _quoted(text: str) -> str:
    return quote(text.encode(errors="surrogatepass"), safe="")


def _with_field(fields: dict[str, Any], name: str, value: bytes | None) -> bytes:
    written = {key: json.dumps(given).encode() for key, given in fields.items() if key != name}
    if value is not None:
        written[name] = value
    return b"{" + b",".join(json.dumps(key).encode() + b":" + given for key, given in written.items()) + b"}"


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=5,
)
_value = st.one_of(
    st.sampled_from(VALUES).map(lambda value: json.dumps(value).encode()),
    st.sampled_from(sorted(VERBATIM.values())),
    _json.map(lambda value: json.dumps(value).encode()),
)
_text = st.sampled_from(TEXTS) | st.text(max_size=30)
_headers = st.one_of([st.tuples(st.just(name), st.sampled_from(values)) for name, values in HEADERS])
_verb = st.sampled_from(["TRACE", "FOO", "HEAD", "OPTIONS", "PUT", "PATCH", "DELETE", "POST", "get"])


def harms(
    *, fields: list[str], parameters: list[str], has_segment: bool, has_body: bool
) -> st.SearchStrategy[Harm]:
    """For a door that knows these fields and query parameters. One thing is wrong with it, or two."""
    query = st.tuples(st.sampled_from([*parameters, *FOREIGN_PARAMETERS]), _text)
    kinds: dict[str, st.SearchStrategy[Any]] = {"query": st.lists(query, min_size=1, max_size=2).map(tuple)}
    if has_segment:
        kinds["segment"] = st.sampled_from(SEGMENTS)
    if has_body:
        foreign = st.tuples(st.sampled_from(FOREIGN_NAMES), _value)
        kinds["field"] = (
            st.tuples(st.sampled_from(fields), _value | st.none()) | foreign if fields else foreign
        )
        kinds["body"] = st.sampled_from(BODIES) | st.binary(max_size=30)
        kinds["cut"] = st.integers(0, 40)
        kinds["form"] = st.sampled_from(FORMS)
    kinds |= {"header": _headers, "verb": _verb}
    often = ["field", "field", "field", "body"] if has_body else ["query", "query"]

    @st.composite
    def draw_harm(draw: st.DrawFn) -> Harm:
        names = draw(st.lists(st.sampled_from([*often, *kinds]), min_size=1, max_size=2, unique=True))
        return Harm(**{name: draw(kinds[name]) for name in names})

    return draw_harm()


def frames(good: dict[str, dict[str, Any]]) -> st.SearchStrategy[str]:
    """A frame of one of these types with one field that is another, missing or too much."""

    @st.composite
    def draw_frame(draw: st.DrawFn) -> str:
        kind = draw(st.sampled_from(sorted(good)))
        fields = {"type": kind} | good[kind]
        name = draw(st.sampled_from([*fields, *fields, *FOREIGN_NAMES]))
        value = draw(_value if name not in fields else _value | st.none())
        # Bytes that are no text cannot be sent as text; that servers refuse them is a test of its own.
        return _with_field(fields, name, value).decode(errors="replace")

    return draw_frame()
