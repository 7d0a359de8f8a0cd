// Sets the chosen colour scheme before the first paint: a module would run after it and flash.
(() => {
  try {
    const theme = localStorage.getItem('stentor.theme');
    if (theme === 'light' || theme === 'dark') document.documentElement.dataset.theme = theme;
  } catch {
    // Storage is blocked: the system's scheme holds.
  }
})();
