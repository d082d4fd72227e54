"""Cases B02–B07 and B59: what the strict parser takes and refuses, for bodies and frames alike."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.core.errors import EMLError, Invalid
from apps.core.json import loads_strict

pytestmark = pytest.mark.embedded

LIMIT = 1024 * 1024


def code_of(data: bytes | str, **limits: int) -> str | None:
    try:
        loads_strict(data, **({"max_bytes": LIMIT} | limits))
    except Invalid as error:
        return error.code
    return None


NOT_JSON = [
    b"", b" ", b"{", b"[", b"[1", b"[1,", b"[1,]", b"[,1]", b"[1,,2]", b"[1 2]", b"]", b"[]]", b"{}}", b"{} x",
    b"{}{}", b"[1]\x0c", b"\x0c[]", b"\xc2\xa0[]", b"\xe2\x80\xa8[]", b"{'a':1}", b'{a:1}', b'{"a"}', b'{"a":}',
    b'{"a" 1}', b'{"a":1,}', b'{,"a":1}', b'{1:1}', b'{"a":1 "b":2}', b'"', b'"a', b"'a'", b'"\x01"', b'"\n"',
    b'"\t"', b'"\\x41"', b'"\\u12"', b'"\\uZZZZ"', b'"\\', b'"\\a"', b"nul", b"True", b"undefined", b"tru",
    b"nulll", b"+1", b"01", b"-", b"--1", b"1.", b".5", b"1e", b"1e+", b"1.5e", b"0x10", b"1_000", b"1 000", b"1a",
    b"-a", b"/* */ 1", b"// x\n1", b"[1] # x", b"-Inf", b"inf", b"nan", b"[\xe2\x91\xa0]", b"<a>", b"*", b"\\u0061",
]  # fmt: skip

JSON = [
    (b"[]", []), (b"{}", {}), (b"null", None), (b" \t\r\n1 ", 1), (b"-0", 0), (b"-1", -1), (b"0", 0), (b"1e2", 100.0),
    (b"1E+2", 100.0), (b"1e-2", 0.01), (b"0.5", 0.5), (b"-0.0", 0.0), (b"1e-400", 0.0), (b'""', ""), (b'"a"', "a"),
    (rb'"\"\\\/\b\f\n\r\t"', '"\\/\b\f\n\r\t'), (rb'"\u00e4"', "ä"), (rb'"\ud83d\ude00"', "😀"),
    (rb'"\\u0000"', "\\u0000"),
    (rb'"\\ud800"', "\\ud800"), ("\"\u20ac\U0001f600\"".encode(), "€😀"), (b'"\x7f"', "\x7f"), (b'{"":0}', {"": 0}),
    (b'{"a":{"a":1}}', {"a": {"a": 1}}), (b"9223372036854775807", 2**63 - 1), (b"-9223372036854775808", -(2**63)),
    (b'["[{[{"]', ["[{[{"]), (rb'["\"[[["]', ['"[[[']), (b"[true,false,null]", [True, False, None]),
]  # fmt: skip


@pytest.mark.parametrize("data", NOT_JSON)
def test_b02_what_is_not_json_is_refused(data: bytes) -> None:
    assert code_of(data) == "not_json"


@pytest.mark.parametrize(("data", "value"), JSON)
def test_b02_json_is_taken_as_it_is(data: bytes, value: object) -> None:
    assert loads_strict(data, max_bytes=LIMIT) == value
    assert loads_strict(data.decode(), max_bytes=LIMIT) == value


@pytest.mark.parametrize("opening", [b"[", b'{"a":', b'[{"a":'])
@pytest.mark.parametrize("levels", [33, 1_000, 5_000, 100_000])
def test_b03_nested_too_deeply(opening: bytes, levels: int) -> None:
    assert code_of(opening * levels) == "too_deep"


def test_b03_allowed_depth_and_brackets_in_text_are_no_depth() -> None:
    assert loads_strict(b"[" * 32 + b"]" * 32, max_bytes=LIMIT)
    assert loads_strict(b'["' + b"[" * 1000 + rb"\"[[" + b'"]', max_bytes=LIMIT)
    assert len(loads_strict(b"[" + b"[]," * 999 + b"[]]", max_bytes=LIMIT)) == 1000


@pytest.mark.parametrize("data", [rb'["\u0000"]', rb'{"a\u0000":1}', b'["\x00"]', rb'["a\\\u0000"]'])
def test_b04_nul_in_value_or_key(data: bytes) -> None:
    assert code_of(data) == "bad_character"


@pytest.mark.parametrize(
    "data",
    [
        rb'"\ud800"',
        rb'"\uDFFF"',
        rb'"\ude00\ud83d"',
        rb'{"\ud800":1}',
        rb'"\ud83dx\ude00"',
        rb'"\ud83d\ud83d\ude00"',
    ],
)
def test_b05_lone_surrogate_in_value_or_key(data: bytes) -> None:
    assert code_of(data) == "bad_character"


def test_b05_lone_surrogate_in_a_text_frame() -> None:
    assert code_of('"\ud800"') == "bad_character"


@pytest.mark.parametrize(
    "data",
    [b"NaN", b"Infinity", b"[-Infinity]", b"1e999", b"-1e999", b"1" * 5_000 + b".0", b"9" * 500 + b"e9"],
)
def test_b06_not_a_finite_number(data: bytes) -> None:
    assert code_of(data) == "bad_number"


def test_b06_minus_zero_becomes_zero() -> None:
    assert str(loads_strict(b"[-0, -0.0, -0e5]", max_bytes=LIMIT)) == "[0, 0.0, 0.0]"


@pytest.mark.parametrize(
    "data", [b"%d" % 2**63, b"%d" % (-(2**63) - 1), b"9" * 4_000, b"9" * 5_000, b"-" + b"9" * 900_000]
)
def test_b07_integer_beyond_64_bits(data: bytes) -> None:
    assert code_of(data) == "bad_number"


@pytest.mark.parametrize("data", [b'{"a":1,"a":1}', b'[{"x":{"a":1,"b":2,"a":3}}]', rb'{"a":1,"\u0061":2}'])
def test_h14_key_twice(data: bytes) -> None:
    assert code_of(data) == "duplicate_key"


@pytest.mark.parametrize(
    "data",
    [
        b"\xef\xbb\xbf{}",
        "{}".encode("utf-16"),
        '{"a":1}'.encode("utf-16-le"),
        "{}".encode("utf-32"),
        b'"\xff"',
        b'"\xed\xa0\x80"',
        "\ufeff{}",
    ],
)
def test_b15_not_utf8(data: bytes | str) -> None:
    assert code_of(data) == "not_utf8"


@pytest.mark.parametrize("data", [b'"aaaaaaaaa"', '"aaaaaaaaa"', '"äääää"'])
def test_b12_limit_counts_bytes(data: bytes | str) -> None:
    assert code_of(data, max_bytes=10) == "too_large"
    assert code_of(data, max_bytes=12) is None


def test_errors_say_nothing_of_the_payload() -> None:
    with pytest.raises(Invalid) as caught:
        loads_strict(b'{"secret": tru', max_bytes=LIMIT)
    assert "secret" not in str(caught.value)
    assert caught.value.__cause__ is None


numbers = st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False)
text = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))
values = st.recursive(
    st.none() | st.booleans() | numbers | text,
    lambda inner: st.lists(inner) | st.dictionaries(text, inner),
    max_leaves=20,
)


@given(values, st.booleans())
def test_every_clean_value_comes_back(value: object, ascii_only: bool) -> None:
    data = json.dumps(value, ensure_ascii=ascii_only)
    assert loads_strict(data, max_bytes=LIMIT) == value
    assert loads_strict(data.encode(), max_bytes=LIMIT) == value


@given(
    st.binary()
    | st.text(alphabet='[]{}",:\\u0d8\x00123eE.-+ntf\ud800').map(lambda text: text.encode(errors="ignore"))
)
def test_any_bytes_are_a_value_or_an_error_of_ours(data: bytes) -> None:
    try:
        value = loads_strict(data, max_bytes=LIMIT)
    except EMLError:
        return
    # Whatever came through can be stored: as UTF-8, without NUL, without NaN.
    stored = json.dumps(value, ensure_ascii=False, allow_nan=False)
    assert stored.encode()
    assert json.loads(stored) == value
