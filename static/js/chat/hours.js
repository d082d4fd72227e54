/** When somebody is there and how long it takes, in plain words on the reader's own clock. Pure. */

import { fill } from "./words.js";

const DAY = 86_400_000;
const UNITS = [["day", 86_400, 2], ["hour", 3600, 2], ["minute", 60, 1], ["second", 1, 0]];

export class Hours {
  constructor(language, texts, now = () => new Date()) {
    Object.assign(this, { language, texts, now });
    this.time = new Intl.DateTimeFormat(language, { timeStyle: "short" });
    this.weekday = new Intl.DateTimeFormat(language, { weekday: "long" });
    this.date = new Intl.DateTimeFormat(language, { weekday: "long", day: "numeric", month: "long" });
  }

  /** "tomorrow at 08:00" */
  moment(at) {
    const date = new Date(at);
    const [days, time] = [this.#daysAhead(date), this.time.format(date)];
    const words = { 0: this.texts.atToday, 1: this.texts.atTomorrow }[days] ?? this.texts.atDay;
    return fill(words, { time, day: (days < 7 ? this.weekday : this.date).format(date) });
  }

  /** Why nobody is there, and when somebody will be. */
  closed({ opens_at: opensAt, closed_because: because }) {
    const reason = because ? fill(this.texts.closedBecause, { reason: because }) : "";
    const opening = opensAt ? fill(this.texts.opens, { when: this.moment(opensAt) }) : "";
    return [reason, opening].filter(Boolean).join(" ");
  }

  /** [{ day, hours }] of the next days, one entry for each day on which somebody is there. */
  days(openings) {
    const days = new Map();
    for (const { opens_at: from, closes_at: to } of openings.flatMap((one) => this.#byDay(one))) {
      const ahead = this.#daysAhead(from);
      const day = { 0: this.texts.today, 1: this.texts.tomorrow }[ahead] ?? this.weekday.format(from);
      // A week from now it is the same weekday again: told when today has no hours left.
      const isTold = ahead < 7 || (ahead === 7 && !days.has(this.texts.today));
      if (isTold) days.set(day, [...(days.get(day) ?? []), this.#span(from, to)]);
    }
    return [...days].map(([day, hours]) => ({ day, hours: hours.join(", ") }));
  }

  /** "2–5 minutes"; "up to 2 minutes" when it may be at once. */
  range({ low_seconds: low, high_seconds: high }) {
    const [most, unit] = spoken(high);
    if (low === 0) return fill(this.texts.upTo, { time: this.#number(unit).format(most) });
    const [least, lesser] = spoken(low);
    if (lesser !== unit) return `${this.#number(lesser).format(least)} – ${this.#number(unit).format(most)}`;
    return `${least}–${this.#number(unit).format(most)}`;
  }

  #number(unit) {
    return new Intl.NumberFormat(this.language, { style: "unit", unit, unitDisplay: "long" });
  }

  /** What is open across midnight belongs to both days. */
  #byDay({ opens_at: opensAt, closes_at: closesAt }) {
    const parts = [];
    const end = new Date(closesAt);
    for (let from = new Date(opensAt); from < end; ) {
      const midnight = new Date(from.getFullYear(), from.getMonth(), from.getDate() + 1);
      const to = midnight < end ? midnight : end;
      parts.push({ opens_at: from, closes_at: to });
      from = to;
    }
    return parts;
  }

  #span(from, to) {
    const isWhole = to - from >= DAY - 3_600_000 && from.getHours() === 0;
    return isWhole ? this.texts.allDay : `${this.time.format(from)}–${this.time.format(to)}`;
  }

  #daysAhead(date) {
    const [today, day] = [this.now(), date].map((one) => new Date(one.getFullYear(), one.getMonth(), one.getDate()));
    return Math.round((day - today) / DAY);
  }
}

/** A round number in the unit people say it in: 90 minutes, 2 hours. */
function spoken(seconds) {
  const [unit, size] = UNITS.find(([, size, least]) => seconds >= least * size && seconds % size === 0) ?? UNITS.at(-1);
  return [seconds / size, unit];
}
