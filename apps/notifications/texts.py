"""The texts of a template: {way: {language: {"subject": …, "body": …, "html": …}}}. Checked and cleaned; pure."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from html.parser import HTMLParser
from typing import Any

import nh3
from django.utils.translation import gettext as _

from apps.core import replacer

from . import errors, placeholders, sms
from .choices import Way

# What each way can say; a subject is the title of a notice.
PARTS = {Way.EMAIL: ("subject", "body", "html"), Way.SMS: ("body",), Way.IN_APP: ("subject", "body")}
REQUIRED = {Way.EMAIL: ("subject", "body"), Way.SMS: ("body",), Way.IN_APP: ("subject",)}
MOST = {"subject": 200, "body": 10_000, "html": 30_000}
MOST_LANGUAGES = 30
# The customer's language field is as long.
_LANGUAGE = re.compile(r"(?=.{2,10}$)[a-z]{2,3}(-[a-z0-9]{2,8})*")

# What mail programs show, and nothing that runs, loads or lies over the page.
_STYLES = {
    "background-color", "border", "border-radius", "color", "font-family", "font-size", "font-style", "font-weight",
    "line-height", "margin", "max-width", "padding", "text-align", "text-decoration", "width",
}  # fmt: skip
_ATTRIBUTES = {tag: set(names) for tag, names in nh3.ALLOWED_ATTRIBUTES.items()} | {
    "*": {"style", "dir", "lang", "title"}
}
_SCHEMES = {"https", "http", "mailto", "tel"}

Texts = dict[str, dict[str, dict[str, str]]]


def checked(texts: Mapping[str, Any]) -> Texts:
    """The texts as they are kept: tidy, their HTML cleaned. TextsInvalid says what is wrong with which of them."""
    wrong: dict[str, list[str]] = {}
    kept: Texts = {}
    for way, languages in texts.items():
        if way not in PARTS or not isinstance(languages, Mapping) or len(languages) > MOST_LANGUAGES:
            raise errors.TextsInvalid(fields={str(way)[:20]: [_("There are no texts for this way.")]})
        for language, text in languages.items():
            _check_language(way, language, text, wrong)
            kept.setdefault(way, {})[_tidy_language(language)] = _text(
                Way(way), text, f"{way}.{language}", wrong
            )
    if not kept:
        wrong[""] = [_("A template needs a text for one way at least.")]
    if wrong:
        raise errors.TextsInvalid(fields=wrong)
    return kept


def _tidy_language(language: str) -> str:
    return str(language).strip().lower().replace("_", "-")


def _check_language(way: str, language: str, text: Any, wrong: dict[str, list[str]]) -> None:
    if not _LANGUAGE.fullmatch(_tidy_language(language)):
        wrong[f"{way}.{str(language)[:10]}.language"] = [_("A language is written like en, de or de-at.")]
    if not isinstance(text, Mapping) or not all(isinstance(part, str) for part in text.values()):
        raise errors.TextsInvalid(fields={way: [_("A text has a subject, a body and HTML.")]})


def _text(way: Way, text: Mapping[str, str], where: str, wrong: dict[str, list[str]]) -> dict[str, str]:
    kept: dict[str, str] = {}
    for part in PARTS[way]:
        value = _tidy(part, text.get(part, ""))
        if not value and part in REQUIRED[way]:
            wrong[f"{where}.{part}"] = [_("This part is needed.")]
        elif found := list(_faults(way, part, value)):
            wrong[f"{where}.{part}"] = found
        elif value:
            kept[part] = value
    for part in text.keys() - PARTS[way]:
        if text[part].strip():
            wrong[f"{where}.{part}"] = [_("This way has no such part.")]
    return kept


def _tidy(part: str, value: str) -> str:
    if part == "subject":
        return replacer.one_line(value, most=len(value))
    if part == "html" and len(value) <= MOST[part]:
        # Before the placeholders are looked at: braces of a style sheet go with it.
        value = clean(replacer.lines(value, most=len(value)))
        # Once more below: where something was taken away at the end, a space is the end now.
    return replacer.lines(value, most=len(value))


def _faults(way: Way, part: str, value: str) -> Iterator[str]:
    if len(value) > MOST[part]:
        yield _too_long(MOST[part])
        return
    if way == Way.SMS and len(value) > sms.MOST_CHARACTERS:
        yield _too_long(sms.MOST_CHARACTERS)
        return
    if fault := replacer.fault(value, forms=placeholders.forms_of):
        yield _said(fault)
    elif part == "html":
        for name in sorted(_names_in_attributes(value)):
            if not placeholders.is_link(name):
                yield _("{%(name)s} cannot stand inside of a tag, only links can.") % {"name": name}


def _too_long(most: int) -> str:
    return str(errors.TextTooLong(most=f"{most:,}", placeholders=replacer.MOST_PLACEHOLDERS))


def _said(fault: replacer.Fault) -> str:
    if fault.what == "too_many":
        return _too_long(MOST["body"])
    if fault.what == "form":
        forms = ", ".join(f":{form}" for form in placeholders.FORMS)
        return _("“%(where)s” has no such form. Moments have these: %(forms)s.") % {
            "where": fault.where,
            "forms": forms,
        }
    return str(errors.PlaceholderUnknown(where=fault.where, names=placeholders.allowed()))


def clean(html: str) -> str:
    """HTML that is safe to send and to show; cleaning it again changes nothing."""
    return nh3.clean(
        html,
        attributes=_ATTRIBUTES,
        filter_style_properties=_STYLES,
        url_schemes=_SCHEMES,
        link_rel=None,
        clean_content_tags={"script", "style"},
    )


class _Attributes(HTMLParser):
    """Collects what stands in attributes. A parser, because a tag does not always end at the first >."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=False)
        self.values: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.values += [value for _name, value in attrs if value]


def _names_in_attributes(markup: str) -> set[str]:
    parser = _Attributes()
    parser.feed(markup)
    parser.close()
    return {name for value in parser.values for name in replacer.names(value)}


# What is different between two versions


@dataclass(frozen=True, slots=True)
class Change:
    """One part of one text: lines that went ("-"), came ("+") and stayed (" ")."""

    way: str
    language: str
    part: str
    lines: tuple[tuple[str, str], ...]


def changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Change]:
    """Readable by people: by way, language and part, in that order; nothing of what is the same."""
    found = []
    for way in PARTS:
        languages = {*before.get(way, {}), *after.get(way, {})}
        for language in sorted(languages):
            for part in PARTS[way]:
                old, new = (
                    (texts.get(way, {}).get(language, {}).get(part) or "") for texts in (before, after)
                )
                if old != new:
                    found.append(Change(way, language, part, _diff(old, new)))
    return found


def _diff(old: str, new: str) -> tuple[tuple[str, str], ...]:
    compared = difflib.ndiff(old.splitlines(), new.splitlines())
    return tuple((line[0], line[2:]) for line in compared if line[0] in "-+ ")
