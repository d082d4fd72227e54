/** Texts of people made safe and readable: links, times, sizes. Pure; everything ends as text nodes. */

const LINK = /\bhttps?:\/\/[^\s<>"'`{}|\\^]+/giu;
// What ends a sentence rather than an address.
const TRAILING = /[.,;:!?…'"»”’)\]]+$/u;
// Characters that turn the reading direction or are not seen at all: an address with them is not what it looks like.
const DECEIVING = /[\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]/u;

/** [{text} | {text, href}] in order. */
export function linkify(body) {
  const parts = [];
  let end = 0;
  for (const match of body.matchAll(LINK)) {
    const text = trimmed(match[0]);
    const href = safeAddress(text);
    if (!href) continue;
    if (match.index > end) parts.push({ text: body.slice(end, match.index) });
    parts.push({ text, href });
    end = match.index + text.length;
  }
  if (end < body.length) parts.push({ text: body.slice(end) });
  return parts;
}

/** Only http(s), and no name before the host: https://bank.example@evil.example is a trap. */
function safeAddress(text) {
  if (DECEIVING.test(text)) return null;
  try {
    const url = new URL(text);
    return ["http:", "https:"].includes(url.protocol) && !url.username && !url.password ? url.href : null;
  } catch {
    return null;
  }
}

function trimmed(address) {
  const shorter = address.replace(TRAILING, "");
  // A bracket that was opened inside belongs to the address: …/wiki/Tea_(drink)
  const isOpen = shorter.split("(").length > shorter.split(")").length;
  return isOpen && address[shorter.length] === ")" ? `${shorter})` : shorter;
}

/** "Hello {name}" with {name: "Ada"} */
export function fill(text, values) {
  return text.replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole);
}

/** Times as the reader's own clock and the page's language have them. */
export class Clock {
  constructor(language, texts, now = () => new Date()) {
    this.now = now;
    this.texts = texts;
    this.short = new Intl.DateTimeFormat(language, { timeStyle: "short" });
    this.full = new Intl.DateTimeFormat(language, { dateStyle: "full", timeStyle: "short" });
    this.date = new Intl.DateTimeFormat(language, { weekday: "long", day: "numeric", month: "long" });
    this.dateOfYear = new Intl.DateTimeFormat(language, { dateStyle: "long" });
  }

  time(at) {
    return this.short.format(new Date(at));
  }

  exact(at) {
    return this.full.format(new Date(at));
  }

  /** The same for every moment of one day, as the reader counts days. */
  dayKey(at) {
    const date = new Date(at);
    return `${date.getFullYear()}-${date.getMonth() + 1}-${date.getDate()}`;
  }

  day(at) {
    const today = this.now();
    const yesterday = new Date(today.getFullYear(), today.getMonth(), today.getDate() - 1);
    if (this.dayKey(at) === this.dayKey(today)) return this.texts.today;
    if (this.dayKey(at) === this.dayKey(yesterday)) return this.texts.yesterday;
    const date = new Date(at);
    return (date.getFullYear() === today.getFullYear() ? this.date : this.dateOfYear).format(date);
  }
}

export function fileSize(bytes, language) {
  const [unit, amount] = bytes < 1_000_000 ? ["kilobyte", bytes / 1000] : ["megabyte", bytes / 1_000_000];
  const digits = { maximumFractionDigits: amount < 10 ? 1 : 0 };
  return new Intl.NumberFormat(language, { style: "unit", unit, unitDisplay: "short", ...digits }).format(amount);
}

/** Two letters for a face without a picture. By code points: half an emoji is no letter. */
export function initials(name) {
  const words = name.trim().split(/\s+/u).filter(Boolean);
  const letters = words.length > 1 ? [words[0], words.at(-1)].map((word) => [...word][0]) : [...(words[0] ?? "")].slice(0, 1);
  return letters.join("");
}

/** Always the same tint (1–8) for the same name. */
export function tint(name) {
  let sum = 0;
  for (const character of name) sum = (sum * 31 + character.codePointAt(0)) % 9973;
  return (sum % 8) + 1;
}
