"""When it is to come back, in plain words, by the agent's clock. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

MORNING, AFTERNOON = time(9), time(15)
# This afternoon is offered while it is at least so far away.
SOONEST = timedelta(hours=2)
MONDAY = 0


@dataclass(frozen=True, slots=True)
class Preset:
    label: str | Promise
    at: datetime

    @property
    def value(self) -> str:
        """With its offset: also a time that the clocks show twice is one moment."""
        return self.at.isoformat(timespec="minutes")


def presets(now: datetime, *, zone: ZoneInfo) -> list[Preset]:
    """From soon to late; each moment once."""
    found: dict[datetime, Preset] = {}
    for preset in _all(now.astimezone(zone)):
        found.setdefault(preset.at, preset)
    return sorted(found.values(), key=lambda preset: preset.at)


def _all(now: datetime) -> Iterator[Preset]:
    # Counted where hours have no gaps.
    hour = now.astimezone(UTC).replace(second=0, microsecond=0) + timedelta(hours=1)
    yield Preset(_("In an hour"), hour.astimezone(now.tzinfo))
    if _at(now, 0, AFTERNOON) - now >= SOONEST:
        yield Preset(_("This afternoon"), _at(now, 0, AFTERNOON))
    yield Preset(_("Tomorrow morning"), _at(now, 1, MORNING))
    yield Preset(_("On Monday"), _at(now, (MONDAY - now.weekday() - 1) % 7 + 1, MORNING))
    yield Preset(_("In a week"), _at(now, 7, MORNING))


def _at(now: datetime, days: int, clock: time) -> datetime:
    return datetime.combine(now.date() + timedelta(days=days), clock, tzinfo=now.tzinfo)
