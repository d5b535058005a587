// Loaded before anything is painted, so that the chosen theme never flashes.
try {
  const theme = localStorage.getItem("cartnet.theme");
  if (theme === "light" || theme === "dark") {
    document.documentElement.dataset.theme = theme;
  }
} catch {
  // Storage may be forbidden; the system's theme is a good one.
}
