from __future__ import annotations

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest
from holidays import country_holidays

from apps.routing.hours import (
    Closed,
    Hours,
    Open,
    Range,
    Reason,
    SpecialDay,
    check,
    in_words,
    is_open,
    open_seconds,
)

pytestmark = pytest.mark.embedded

BERLIN = ZoneInfo("Europe/Berlin")
HEILIGABEND = date(2026, 12, 24)


def ranges(text):
    return tuple(Range.parse(part) for part in text.split(",")) if text else ()


def hours(weekdays="08:00-12:00,13:00-18:00", saturday="", sunday="", zone="Europe/Berlin", **settings):
    week = (*[ranges(weekdays)] * 5, ranges(saturday), ranges(sunday))
    return Hours(week, zone, **settings)


def berlin(*when, fold=0):
    return datetime(*when, tzinfo=BERLIN, fold=fold)


@pytest.mark.parametrize(
    ("at", "answer"),
    [
        (berlin(2026, 6, 1, 7, 59), Closed(Reason.OUTSIDE_HOURS, until=berlin(2026, 6, 1, 8))),
        (berlin(2026, 6, 1, 8), Open(until=berlin(2026, 6, 1, 12))),
        (berlin(2026, 6, 1, 11, 59, 59), Open(until=berlin(2026, 6, 1, 12))),
        (berlin(2026, 6, 1, 12), Closed(Reason.OUTSIDE_HOURS, until=berlin(2026, 6, 1, 13))),
        (berlin(2026, 6, 5, 18), Closed(Reason.OUTSIDE_HOURS, until=berlin(2026, 6, 8, 8))),
        (datetime(2026, 6, 1, 6, tzinfo=UTC), Open(until=berlin(2026, 6, 1, 12))),
    ],
)
def test_open_from_the_first_minute_until_the_last(at, answer):
    assert is_open(hours(), at=at) == answer
    assert bool(is_open(hours(), at=at)) is isinstance(answer, Open)


def test_two_ranges_across_midnight_are_one_opening():
    night = hours(weekdays="00:00-02:00,20:00-24:00", saturday="00:00-02:00")
    assert is_open(night, at=berlin(2026, 6, 1, 23)) == Open(until=berlin(2026, 6, 2, 2))
    assert is_open(night, at=berlin(2026, 6, 6, 2)).until == berlin(2026, 6, 8)


def test_always_open_never_closes():
    always = hours("00:00-24:00", "00:00-24:00", "00:00-24:00")
    assert is_open(always, at=berlin(2026, 6, 1)) == Open(until=None)


def test_never_open_stays_closed():
    never, now = hours(weekdays=""), berlin(2026, 6, 1)
    assert is_open(never, at=now) == Closed(Reason.OUTSIDE_HOURS, until=None)


def test_special_day_replaces_the_weekday():
    short = hours(special_days={HEILIGABEND: SpecialDay("Heiligabend", ranges("09:00-12:00"))})
    assert is_open(short, at=berlin(2026, 12, 24, 8, 30)) == Closed(
        Reason.SPECIAL_DAY, until=berlin(2026, 12, 24, 9), name="Heiligabend"
    )
    assert is_open(short, at=berlin(2026, 12, 24, 9)) == Open(until=berlin(2026, 12, 24, 12))
    assert is_open(short, at=berlin(2026, 12, 24, 12)).until == berlin(2026, 12, 25, 8)


def test_special_day_without_ranges_is_closed():
    outing = hours(special_days={date(2026, 6, 2): SpecialDay("Works outing")})
    closed = is_open(outing, at=berlin(2026, 6, 2, 10))
    assert closed == Closed(Reason.SPECIAL_DAY, until=berlin(2026, 6, 3, 8), name="Works outing")


def test_public_holidays_of_the_library_close():
    bavaria = hours(country="DE", subdivision="BY", holidays=country_holidays("DE", "BY", language="en_US"))
    closed = is_open(bavaria, at=berlin(2026, 12, 25, 10))
    assert closed == Closed(Reason.HOLIDAY, until=berlin(2026, 12, 28, 8), name="Christmas Day")


def test_special_day_goes_before_a_public_holiday():
    christmas = date(2026, 12, 25)
    emergency = hours(
        holidays={christmas: "Christmas Day"},
        special_days={christmas: SpecialDay("Emergency service", ranges("10:00-11:00"))},
    )
    assert is_open(emergency, at=berlin(2026, 12, 25, 10, 30))


def test_times_that_do_not_exist_are_the_next_minute_that_does():
    """2026-03-29: 01:59 is followed by 03:00."""
    gap = hours(sunday="02:10-02:20,02:30-05:00")
    assert is_open(gap, at=berlin(2026, 3, 29, 1, 59)) == Closed(
        Reason.OUTSIDE_HOURS, until=berlin(2026, 3, 29, 3)
    )
    assert is_open(gap, at=berlin(2026, 3, 29, 3)) == Open(until=berlin(2026, 3, 29, 5))
    assert open_seconds(gap, start=berlin(2026, 3, 29), end=berlin(2026, 3, 30)) == 2 * 3600


def test_times_that_exist_twice_open_at_the_first_and_close_at_the_last():
    """2026-10-25: 02:59 is followed by 02:00."""
    twice = hours(sunday="02:15-02:45")
    first, last = berlin(2026, 10, 25, 2, 15, fold=0), berlin(2026, 10, 25, 2, 45, fold=1)
    assert is_open(twice, at=berlin(2026, 10, 25)).until.timestamp() == first.timestamp()
    assert is_open(twice, at=first).until.timestamp() == last.timestamp()
    assert open_seconds(twice, start=berlin(2026, 10, 25), end=berlin(2026, 10, 26)) == 90 * 60


def test_ranges_that_overlap_when_clocks_go_back_count_once():
    twice = hours(sunday="02:00-02:20,02:40-03:00")
    assert open_seconds(twice, start=berlin(2026, 10, 25), end=berlin(2026, 10, 26)) == 2 * 3600


def test_day_that_was_skipped_has_no_hours():
    """Samoa had no 30 December 2011, a Friday."""
    samoa = Hours((*[()] * 4, ranges("09:00-17:00"), (), ()), "Pacific/Apia")
    before = datetime(2011, 12, 28, tzinfo=ZoneInfo("Pacific/Apia"))
    assert is_open(samoa, at=before).until == datetime(2012, 1, 6, 9, tzinfo=ZoneInfo("Pacific/Apia"))


def test_yesterdays_24_00_is_still_ahead_where_clocks_go_back_at_midnight():
    """Havana, 2026-11-01: 00:59 is followed by 00:00, so the 24:00 of Saturday exists twice."""
    havana = ZoneInfo("America/Havana")
    late = Hours((*[()] * 5, ranges("20:00-24:00"), ()), "America/Havana")
    assert is_open(late, at=datetime(2026, 11, 1, 0, 30, tzinfo=havana, fold=0))
    assert not is_open(late, at=datetime(2026, 11, 1, 0, 30, tzinfo=havana, fold=1))
    sunday, monday = (datetime(2026, 11, day, tzinfo=havana) for day in (1, 2))
    assert open_seconds(late, start=sunday, end=monday) == 3600


@pytest.mark.parametrize(
    ("start", "end", "seconds"),
    [
        (berlin(2026, 6, 1), berlin(2026, 6, 8), 5 * 9 * 3600),
        (berlin(2026, 6, 1, 11, 59), berlin(2026, 6, 1, 13, 0, 30), 90),
        (berlin(2026, 6, 6), berlin(2026, 6, 8), 0),
        (berlin(2026, 6, 1, 10), berlin(2026, 6, 1, 9), 0),
    ],
)
def test_open_seconds_counts_only_what_is_inside_the_hours(start, end, seconds):
    assert open_seconds(hours(), start=start, end=end) == seconds


def test_time_without_a_zone_is_refused():
    with pytest.raises(ValueError, match="without a zone"):
        is_open(hours(), at=berlin(2026, 6, 1).replace(tzinfo=None))


def test_week_has_seven_days():
    with pytest.raises(ValueError, match="seven"):
        Hours(((),) * 6)


@pytest.mark.parametrize(
    "text", ["", "8-12", "08:00", "08:00-12:60", "٠٨:٠٠-١٢:٠٠", "08:00-12:00-13:00", "a:b-c:d"]
)
def test_range_that_cannot_be_read_is_refused(text):
    with pytest.raises(ValueError, match="08:00-12:30"):
        Range.parse(text)


def test_range_reads_back_what_it_writes():
    assert Range.parse(str(Range(5, 1440))) == Range(5, 1440)
    assert Range.parse(" 8:00 - 12:30 ") == Range(480, 750)


def test_sensible_hours_have_nothing_to_complain_about():
    special_days = {HEILIGABEND: SpecialDay("Heiligabend", ranges("09:00-12:00"))}
    good = hours(
        saturday="00:00-12:00,12:00-24:00", special_days=special_days, country="DE", subdivision="BY"
    )
    assert check(good) == []


@pytest.mark.parametrize(
    ("bad", "sentence"),
    [
        (hours(sunday="08:00-12:00,11:00-15:00"), "Sunday: 08:00–12:00 and 11:00–15:00 overlap."),
        (
            hours(saturday="18:00-02:00"),
            "Saturday: 18:00–02:00 ends before it begins. Across midnight takes two ranges: 18:00–24:00, "
            "and 00:00–02:00 on the next day.",
        ),
        (hours(sunday="09:00-09:00"), "Sunday: 09:00–09:00 is empty. The whole day is 00:00–24:00."),
        (
            hours(sunday="20:00-25:00"),
            "Sunday: 20:00–25:00 is outside the day. A day lasts from 00:00 to 24:00.",
        ),
        (hours(weekdays=""), "No day has opening hours, so the queue would never open."),
        (
            hours(country="XX"),
            "No public holidays are known for the country “XX”. Choose one such as DE.",
        ),
        (
            hours(country="MT", subdivision="ZZ"),
            "MT has no region “ZZ”. Its regions are: –.",
        ),
        (hours(subdivision="BY"), "Choose the country of the region “BY” too."),
        (
            hours(special_days={HEILIGABEND: SpecialDay(" ")}),
            "2026-12-24 has no name. Customers read it as the reason.",
        ),
        (
            hours(special_days={HEILIGABEND: SpecialDay("Heiligabend", ranges("9:00-12:00,10:00-11:00"))}),
            "2026-12-24 Heiligabend: 09:00–12:00 and 10:00–11:00 overlap.",
        ),
    ],
)
def test_each_fault_is_one_sentence(bad, sentence):
    assert check(bad) == [sentence]


@pytest.mark.parametrize(
    "zone", ["Europe/Foo", "UTC+2", "../../etc/passwd", "", "localtime", "\0", "x" * 10_000]
)
def test_unknown_zone_is_named_but_not_at_length(zone):
    [sentence] = check(hours(zone=zone))
    assert sentence.endswith("is not a time zone. Choose one such as Europe/Berlin.")
    assert len(sentence) < 110


def test_regions_of_the_country_are_listed():
    [sentence] = check(hours(country="DE", subdivision="TX"))
    assert "BB, BE, BW, BY" in sentence


def test_sentences_are_translated_before_they_are_filled_in():
    german = {
        "Sunday": "Sonntag",
        "%(day)s: %(earlier)s and %(later)s overlap.": "%(day)s: %(earlier)s und %(later)s überschneiden sich.",
    }
    found = check(hours(sunday="08:00-12:00,11:00-15:00"), gettext=lambda text: german.get(text, text))
    assert found == ["Sonntag: 08:00–12:00 und 11:00–15:00 überschneiden sich."]


def test_in_words_puts_equal_weekdays_together():
    special_days = {HEILIGABEND: SpecialDay("Heiligabend", ranges("09:00-12:00"))}
    settings = {"special_days": special_days, "country": "DE", "subdivision": "BY"}
    assert in_words(hours("13:00-18:00,08:00-12:00", "", "08:00-12:00,13:00-18:00", **settings)) == {
        "zone": "Europe/Berlin",
        "week": [
            {"days": [[1, 5], [7, 7]], "ranges": [["08:00", "12:00"], ["13:00", "18:00"]]},
            {"days": [[6, 6]], "ranges": []},
        ],
        "special_days": [{"date": "2026-12-24", "name": "Heiligabend", "ranges": [["09:00", "12:00"]]}],
        "holidays_of": "DE-BY",
    }
