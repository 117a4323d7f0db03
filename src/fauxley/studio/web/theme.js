// Dark or light: as the system has it, until one is chosen.

const KEY = "fauxley-theme";
const ORDER = /** @type {const} */ (["system", "dark", "light"]);
const dark = matchMedia("(prefers-color-scheme: dark)");

/** @returns {typeof ORDER[number]} */
function chosen() {
  try {
    return ORDER.find((each) => each === localStorage.getItem(KEY)) ?? "system";
  } catch {
    return "system";
  }
}

export function applyTheme() {
  const theme = chosen();
  document.documentElement.dataset.theme = theme === "system" ? (dark.matches ? "dark" : "light") : theme;
}

/** Go over to the next choice; its name. */
export function nextTheme() {
  const next = ORDER[(ORDER.indexOf(chosen()) + 1) % ORDER.length];
  try {
    localStorage.setItem(KEY, next);
  } catch { /* then only until the page is left */ }
  if (next === chosen()) applyTheme();
  else document.documentElement.dataset.theme = next === "light" ? "light" : "dark";
  return next === "system" ? "as the system has it" : next;
}

dark.addEventListener("change", applyTheme);
