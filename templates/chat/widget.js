{% load i18n %}{% comment %}Loaded by foreign pages. Texts go through escapejs, so no name of an inbox can end a string.{% endcomment %}(() => {
  "use strict";
  const config = {
    inbox: "{{ inbox.slug|escapejs }}",
    origins: "{{ origins|join:' '|escapejs }}".split(" "),
    texts: {
      open: "{% filter escapejs %}{% translate 'Open the chat' %}{% endfilter %}",
      close: "{% filter escapejs %}{% translate 'Close the chat' %}{% endfilter %}",
      unread: "{% filter escapejs %}{% translate 'New messages: {n}' %}{% endfilter %}",
      frame: "{% filter escapejs %}{% blocktranslate with name=inbox.name %}Chat: {{ name }}{% endblocktranslate %}{% endfilter %}",
      refused: "{% filter escapejs %}{% translate 'The chat cannot be reached from this page.' %}{% endfilter %}",
      instead: "{% filter escapejs %}{% translate 'Open it in a window of its own' %}{% endfilter %}",
    },
  };
  const tag = document.currentScript;
  const host = new URL(tag.src).origin;
  const theme = ["light", "dark"].includes(tag.dataset.theme) ? tag.dataset.theme : "";
  const READY_SECONDS = 12;

  const STYLE = `
    :host { all: initial; color-scheme: light dark; }
    :host([data-theme="light"]) { color-scheme: light; }
    :host([data-theme="dark"]) { color-scheme: dark; }
    * { box-sizing: border-box; margin: 0; }
    .launcher { position: fixed; right: 20px; bottom: 20px; z-index: 2147483000; display: grid; place-items: center; width: 60px; height: 60px; padding: 0; border: 0; border-radius: 50%; background: light-dark(#2f57d6, #3f66de); color: #fff; box-shadow: 0 2px 6px rgb(16 24 48 / 0.22), 0 10px 28px rgb(16 24 48 / 0.26); cursor: pointer; transition: transform 160ms ease, background-color 120ms ease; }
    .launcher:hover { background: light-dark(#2748b8, #4a6fe0); transform: translateY(-1px) scale(1.03); }
    .launcher:focus-visible { outline: 3px solid light-dark(#2f57d6, #8fadff); outline-offset: 3px; }
    .launcher svg { grid-area: 1 / 1; width: 28px; height: 28px; fill: none; stroke: currentColor; stroke-width: 1.75; stroke-linecap: round; stroke-linejoin: round; transition: opacity 160ms ease, transform 200ms ease; }
    .launcher[aria-expanded="false"] .cross, .launcher[aria-expanded="true"] .bubble { opacity: 0; transform: rotate(-45deg) scale(0.7); }
    .badge { position: absolute; top: -3px; right: -3px; min-width: 22px; height: 22px; padding: 0 6px; border: 2px solid light-dark(#fff, #161a21); border-radius: 999px; background: #c9303c; color: #fff; font: 600 12px/18px system-ui, sans-serif; text-align: center; }
    .badge[hidden], .panel[hidden], .sorry[hidden] { display: none; }
    .panel { position: fixed; right: 20px; bottom: 92px; z-index: 2147483001; width: min(400px, calc(100vw - 40px)); height: min(680px, calc(100dvh - 112px)); border-radius: 16px; background: light-dark(#fff, #161a21); box-shadow: 0 0 0 1px light-dark(rgb(22 28 45 / 0.08), rgb(255 255 255 / 0.1)), 0 4px 10px rgb(16 24 48 / 0.1), 0 18px 50px rgb(16 24 48 / 0.24); overflow: hidden; animation: rise 200ms cubic-bezier(0.2, 0, 0, 1); }
    iframe { display: block; width: 100%; height: 100%; border: 0; background: light-dark(#fff, #161a21); color-scheme: inherit; }
    .sorry { position: absolute; inset: 0; display: flex; flex-direction: column; align-items: center; justify-content: center; gap: 12px; padding: 32px; background: light-dark(#fff, #161a21); color: light-dark(#171b24, #eceff4); font: 15px/1.5 system-ui, sans-serif; text-align: center; }
    .sorry a { color: light-dark(#274bb8, #9db8ff); }
    @keyframes rise { from { opacity: 0; transform: translateY(12px); } }
    @media (max-width: 480px), (max-height: 480px) {
      .panel { inset: 0; width: 100%; height: 100%; border-radius: 0; }
      .launcher[aria-expanded="true"] { display: none; }
    }
    @media (prefers-reduced-motion: reduce) { .panel { animation: none; } .launcher, .launcher svg { transition: none; } }
    @media print { .launcher, .panel { display: none; } }
  `;
  const BUBBLE = "M2.992 16.342a2 2 0 0 1 .094 1.167l-1.065 3.29a1 1 0 0 0 1.236 1.168l3.413-.998a2 2 0 0 1 1.099.092 10 10 0 1 0-4.777-4.719";
  const CROSS = "M18 6 6 18M6 6l12 12";

  function element(name, properties, ...children) {
    const made = Object.assign(document.createElement(name), properties);
    made.append(...children);
    return made;
  }

  function icon(name, path) {
    const space = "http://www.w3.org/2000/svg";
    const svg = document.createElementNS(space, "svg");
    const line = document.createElementNS(space, "path");
    svg.setAttribute("viewBox", "0 0 24 24");
    svg.setAttribute("class", name);
    svg.setAttribute("aria-hidden", "true");
    line.setAttribute("d", path);
    svg.append(line);
    return svg;
  }

  /** What this page remembers from one address of the site to the next. A strict browser remembers nothing. */
  function memory(storage, key) {
    const name = `eml-chat:${config.inbox}:${key}`;
    return {
      get: () => { try { return window[storage].getItem(name) === "yes"; } catch { return false; } },
      set: (isSet) => { try { isSet ? window[storage].setItem(name, "yes") : window[storage].removeItem(name); } catch { /* not allowed */ } },
    };
  }

  class Widget {
    constructor() {
      this.hasSession = memory("localStorage", "session");
      this.wasOpen = memory("sessionStorage", "open");
      this.isOpen = this.isReady = false;
      this.unread = 0;
      this.build();
      window.addEventListener("message", (event) => this.hear(event));
      document.addEventListener("keydown", (event) => event.key === "Escape" && this.close());
      this.launcher.addEventListener("click", () => (this.isOpen ? this.close() : this.open()));
      const isNarrow = matchMedia("(max-width: 480px), (max-height: 480px)").matches;
      if (this.wasOpen.get() && !isNarrow) this.open({ takeFocus: false });
      else if (this.hasSession.get()) this.load();
    }

    /** Inside a shadow root neither style sheets of the page nor ours reach over. */
    build() {
      const sheet = new CSSStyleSheet();
      sheet.replaceSync(STYLE);
      this.badge = element("span", { className: "badge", hidden: true });
      this.launcher = element("button", { type: "button", className: "launcher" }, icon("bubble", BUBBLE), icon("cross", CROSS), this.badge);
      this.panel = element("div", { className: "panel", hidden: true });
      const outer = element("div", { id: `eml-chat-${config.inbox}` });
      if (theme) outer.dataset.theme = theme;
      const root = outer.attachShadow({ mode: "open" });
      root.adoptedStyleSheets = [sheet];
      root.append(this.panel, this.launcher);
      document.body.append(outer);
      this.label();
    }

    load() {
      if (this.frame) return;
      const address = `${host}/chat/${config.inbox}/frame/${theme && `?theme=${theme}`}`;
      this.frame = element("iframe", { src: address, title: config.texts.frame, allow: "clipboard-write" });
      this.frame.addEventListener("load", () => this.tell("eml:hello"));
      this.panel.append(this.frame);
      setTimeout(() => this.isReady || this.apologise(), READY_SECONDS * 1000);
    }

    apologise() {
      const link = element("a", { href: `${host}/chat/${config.inbox}/`, target: "_blank", rel: "noopener", textContent: config.texts.instead });
      this.sorry = element("div", { className: "sorry" }, element("p", { textContent: config.texts.refused }), link);
      this.panel.append(this.sorry);
    }

    open({ takeFocus = true } = {}) {
      this.isOpen = true;
      this.panel.hidden = false;
      this.wasOpen.set(true);
      this.label();
      this.load();
      this.takeFocus = takeFocus;
      this.announce();
    }

    close() {
      if (!this.isOpen) return;
      this.isOpen = false;
      this.panel.hidden = true;
      this.wasOpen.set(false);
      this.tell("eml:closed");
      this.label();
      this.launcher.focus();
    }

    announce() {
      if (!this.isReady || !this.isOpen) return;
      if (this.takeFocus) this.frame.focus();
      this.tell("eml:opened");
    }

    /** Only our frame is heard, and only while it still shows our server. */
    hear(event) {
      if (!this.frame || event.source !== this.frame.contentWindow || event.origin !== host) return;
      const { type, value } = event.data ?? {};
      if (type === "eml:ready") this.ready();
      if (type === "eml:close") this.close();
      if (type === "eml:session") this.hasSession.set(value === true);
      if (type === "eml:unread" && Number.isInteger(value)) {
        this.unread = value;
        this.label();
      }
    }

    ready() {
      this.isReady = true;
      this.sorry?.remove();
      this.announce();
    }

    tell(type) {
      this.frame?.contentWindow?.postMessage({ type }, host);
    }

    label() {
      const { open, close, unread } = config.texts;
      const news = this.unread ? `. ${unread.replace("{n}", this.unread)}` : "";
      this.launcher.setAttribute("aria-label", this.isOpen ? close : open + news);
      this.launcher.setAttribute("aria-expanded", String(this.isOpen));
      this.badge.hidden = this.isOpen || !this.unread;
      this.badge.textContent = this.unread > 9 ? "9+" : String(this.unread);
    }
  }

  const isThere = document.getElementById(`eml-chat-${config.inbox}`);
  // A polite answer for the owner of the page; what really keeps others out is the frame's own list.
  if (!config.origins.includes(location.origin)) {
    console.warn(`The chat "${config.inbox}" does not list ${location.origin} as a page that may show it.`);
  } else if (isThere) console.warn(`The chat "${config.inbox}" is on this page already.`);
  else if (document.body) new Widget();
  else document.addEventListener("DOMContentLoaded", () => new Widget());
})();
