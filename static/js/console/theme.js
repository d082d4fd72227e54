// Before the first paint, so that a chosen theme never flashes: loaded as a plain script in <head>.
(() => {
  const KEY = "eml.theme";
  const read = () => {
    try {
      return localStorage.getItem(KEY) || "system";
    } catch {
      return "system"; // storage may be forbidden
    }
  };
  const apply = (theme) => {
    if (theme === "system") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = theme;
  };
  apply(read());
  window.emlTheme = {
    get: read,
    set(theme) {
      try {
        localStorage.setItem(KEY, theme);
      } catch {
        // It holds until the next page, then.
      }
      apply(theme);
    },
  };
  // Other tabs follow.
  addEventListener("storage", (event) => event.key === KEY && apply(read()));
})();
