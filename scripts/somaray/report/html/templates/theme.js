// Before anything is drawn, so that a page never flashes in the wrong colours.
(() => {
  const root = document.documentElement;
  const system = matchMedia("(prefers-color-scheme: dark)");
  const stored = () => { try { return localStorage.getItem("somaray-theme"); } catch { return null; } };
  const apply = (dark) => {
    root.classList.toggle("dark", dark);
    root.classList.toggle("light", !dark);
  };
  apply(stored() ? stored() === "dark" : system.matches);
  system.addEventListener("change", () => { if (!stored()) apply(system.matches); });
  window.toggleTheme = () => {
    const dark = !root.classList.contains("dark");
    apply(dark);
    try { localStorage.setItem("somaray-theme", dark ? "dark" : "light"); } catch { /* a page from a file may store nothing */ }
    return dark;
  };
})();
