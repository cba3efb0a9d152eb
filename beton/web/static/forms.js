// Small comforts of forms: filters that apply when they change, a slider that tells its number, and a bar that says how many are selected.
(() => {
  "use strict";
  document.addEventListener("change", (event) => {
    const form = event.target.form;
    if (form && form.hasAttribute("data-auto") && event.target.type !== "search") form.requestSubmit();
    if (event.target.matches(".pick input, [data-all]")) count(event.target);
  });

  document.addEventListener("input", (event) => {
    const told = event.target.dataset.says && document.getElementById(event.target.dataset.says);
    if (told) told.textContent = event.target.value;
  });

  function count(changed) {
    const boxes = [...document.querySelectorAll(".pick input")];
    if (changed.matches("[data-all]")) boxes.forEach((one) => { one.checked = changed.checked; });
    const picked = boxes.filter((one) => one.checked).length;
    document.querySelectorAll("[data-picked]").forEach((one) => { one.textContent = picked ? `${picked} selected` : one.dataset.picked; });
    document.querySelectorAll("[data-needs-picked]").forEach((one) => { one.disabled = !picked; });
    document.querySelectorAll(".bulk").forEach((one) => one.classList.toggle("is-active", picked > 0));
  }
  document.querySelectorAll("[data-needs-picked]").forEach((one) => { one.disabled = !document.querySelector(".pick input:checked"); });

  // A decision under way is not sent twice.
  document.addEventListener("submit", (event) => {
    if (event.target.dataset.sent) { event.preventDefault(); return; }
    if (event.target.method === "post" && !event.target.hasAttribute("hx-post")) event.target.dataset.sent = "yes";
  });
  addEventListener("pageshow", () => document.querySelectorAll("[data-sent]").forEach((one) => { delete one.dataset.sent; }));
})();
