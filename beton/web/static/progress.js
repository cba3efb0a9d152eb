// How far a run is, as the server tells it. Without script, or without a stream, the page says how to look again.
(() => {
  "use strict";
  // What stands out while a search goes on.
  const tell = (place, leads) => {
    place.hidden = false;
    place.querySelector("ol").replaceChildren(...leads.map((one) => {
      const item = document.createElement("li"), lift = document.createElement("small");
      lift.textContent = `lift ${one.lift.toFixed(1)}×`;
      item.append(`${one.sentence} `, lift);
      return item;
    }));
  };
  document.querySelectorAll("[data-progress]").forEach((box) => {
    const told = new EventSource(box.dataset.progress);
    const bar = box.querySelector("progress");
    const line = box.querySelector("[data-line]");
    const leads = box.querySelector("[data-so-far]");
    told.addEventListener("progress", (event) => {
      const run = JSON.parse(event.data);
      if (line) line.textContent = run.message;
      if (leads && run.so_far.length) tell(leads, run.so_far);
      if (bar && run.total) { bar.max = run.total; bar.value = run.done; }
    });
    told.addEventListener("over", () => { told.close(); location.reload(); });
  });
})();
