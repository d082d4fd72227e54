// Sound and desktop notifications; each can be switched off, and stays off.

import { $, store, text, toast } from "./page.js";

let context = null;
let ringing = null;

const isOn = (name) => store.get(name, name === "sound");
const mayNotify = () => "Notification" in window && Notification.permission === "granted";

function audio() {
  context ??= new AudioContext();
  // Browsers allow sound only after the first click or key.
  if (context.state === "suspended") context.resume();
  return context;
}

// Two soft tones, made here: nothing to load, nothing to license.
function tone(frequency, at, length, volume) {
  const sound = audio();
  const oscillator = sound.createOscillator();
  const gain = sound.createGain();
  oscillator.type = "sine";
  oscillator.frequency.value = frequency;
  gain.gain.setValueAtTime(0.0001, sound.currentTime + at);
  gain.gain.exponentialRampToValueAtTime(volume, sound.currentTime + at + 0.02);
  gain.gain.exponentialRampToValueAtTime(0.0001, sound.currentTime + at + length);
  oscillator.connect(gain).connect(sound.destination);
  oscillator.start(sound.currentTime + at);
  oscillator.stop(sound.currentTime + at + length + 0.05);
}

function ringOnce() {
  if (!isOn("sound")) return;
  tone(659, 0, 0.5, 0.18);
  tone(880, 0.16, 0.7, 0.16);
}

export function chime() {
  if (isOn("sound")) tone(784, 0, 0.28, 0.07);
}

export function startRinging() {
  if (ringing) return;
  ringOnce();
  ringing = setInterval(ringOnce, 2600);
}

export function stopRinging() {
  clearInterval(ringing);
  ringing = null;
}

export function notify(title, body, tag, onClick) {
  if (!isOn("notifications") || !mayNotify() || (!document.hidden && document.hasFocus())) return;
  const note = new Notification(title, { body, tag, icon: $('link[rel="icon"]')?.href });
  note.onclick = () => {
    window.focus();
    onClick?.();
    note.close();
  };
}

function show() {
  $("#sound").setAttribute("aria-pressed", String(isOn("sound")));
  $("#notify").setAttribute("aria-pressed", String(isOn("notifications") && mayNotify()));
}

async function toggleNotifications() {
  const wanted = !(isOn("notifications") && mayNotify());
  if (wanted && "Notification" in window && Notification.permission === "default") await Notification.requestPermission();
  if (wanted && !mayNotify()) toast(text("notifications_blocked"), "warning");
  else {
    store.set("notifications", wanted);
    toast(text(wanted ? "notifications_on" : "notifications_off"), "info", 3);
  }
  show();
}

export function start() {
  show();
  $("#sound").addEventListener("click", () => {
    store.set("sound", !isOn("sound"));
    if (isOn("sound")) chime();
    toast(text(isOn("sound") ? "sound_on" : "sound_off"), "info", 3);
    show();
  });
  $("#notify").addEventListener("click", toggleNotifications);
  for (const kind of ["pointerdown", "keydown"]) addEventListener(kind, () => isOn("sound") && audio(), { once: true });
}
