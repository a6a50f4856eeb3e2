// Before the first paint: the chosen theme and language, so that nothing flashes.
(function () {
  var root = document.documentElement;
  try {
    var theme = localStorage.getItem('yearling.theme');
    if (theme === 'light' || theme === 'dark') root.dataset.theme = theme;
    var language = localStorage.getItem('yearling.language') || navigator.language;
    root.lang = /^zh/i.test(language) ? 'zh-CN' : 'en';
  } catch (error) {
    root.lang = 'en';
  }
})();
