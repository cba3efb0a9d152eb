// How far a run is, as the server tells it. Without script, or without a stream, the page says how to look again.
(() => {
  "use strict";
  document.querySelectorAll("[data-progress]").forEach((box) => {
    const told = new EventSource(box.dataset.progress);
    const bar = box.querySelector("progress");
    const line = box.querySelector("[data-line]");
    told.addEventListener("progress", (event) => {
      const run = JSON.parse(event.data);
      if (line) line.textContent = run.message;
      if (bar && run.total) { bar.max = run.total; bar.value = run.done; }
    });
    told.addEventListener("over", () => { told.close(); location.reload(); });
  });
})();
