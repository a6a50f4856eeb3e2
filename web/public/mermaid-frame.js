// Draws diagrams in a sandbox: an opaque origin, no network, no cookies. The page that asks gets the drawing as text and shows it
// as an image, in which nothing runs.
(function () {
  var count = 0;
  var queue = Promise.resolve();

  function draw(message) {
    mermaid.initialize({
      startOnLoad: false,
      securityLevel: 'strict',
      htmlLabels: false,
      flowchart: { htmlLabels: false, useMaxWidth: false },
      sequence: { useMaxWidth: false },
      theme: message.dark ? 'dark' : 'neutral',
      fontFamily: 'system-ui, sans-serif',
      suppressErrorRendering: true,
      maxTextSize: 20000,
      maxEdges: 300,
    });
    count += 1;
    return mermaid.render('drawing' + count, String(message.source)).then(
      function (drawn) {
        var box = new DOMParser().parseFromString(drawn.svg, 'image/svg+xml').documentElement;
        var size = (box.getAttribute('viewBox') || '0 0 600 400').split(/\s+/).map(Number);
        box.setAttribute('width', String(size[2]));
        box.setAttribute('height', String(size[3]));
        return { svg: new XMLSerializer().serializeToString(box), width: size[2], height: size[3] };
      },
      function (error) {
        return { error: String((error && error.message) || error).slice(0, 500) };
      },
    );
  }

  addEventListener('message', function (event) {
    if (event.source !== parent || !event.data || typeof event.data.source !== 'string') return;
    var message = event.data;
    queue = queue.then(function () {
      return draw(message).then(function (result) {
        parent.postMessage(Object.assign({ drawing: message.drawing }, result), '*');
      });
    });
  });
  parent.postMessage({ ready: true }, '*');
})();
