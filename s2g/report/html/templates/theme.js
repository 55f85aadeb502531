// Theme button: the choice is kept where the browser allows it.

const root = document.documentElement;
const dark = matchMedia("(prefers-color-scheme: dark)");

// Storage and history are refused in some sandboxes and mail readers; the page then just does not remember.
const quietly = (act) => { try { return act(); } catch { return null; } };

const saved = quietly(() => localStorage.getItem("s2g-theme"));
if (saved === "dark" || saved === "light") root.dataset.theme = saved;

function themeButton(button) {
  const now = () => root.dataset.theme ?? (dark.matches ? "dark" : "light");
  const other = () => (now() === "dark" ? "light" : "dark");
  const name = () => { button.textContent = `${other()} theme`; };
  button.hidden = false;
  button.addEventListener("click", () => {
    root.dataset.theme = other();
    quietly(() => localStorage.setItem("s2g-theme", root.dataset.theme));
    name();
  });
  dark.addEventListener("change", name);
  name();
}

document.addEventListener("DOMContentLoaded", () => document.querySelectorAll(".theme").forEach(themeButton));

