// Keys for lists and decisions. Every key presses a button or a link that is on the page: data-key names it, data-item is what j and k walk over.
(() => {
  "use strict";
  document.documentElement.classList.add("has-js");
  const items = () => [...document.querySelectorAll("[data-item]")];
  const waiting = () => items().filter((one) => !one.classList.contains("is-done"));
  let at = null;
  let going = 0;
  let asking = 0;
  let decided = 0;
  const typed = [];

  function stand(item, focus = true) {
    if (at) at.classList.remove("is-at");
    at = item || null;
    if (!at) return;
    at.classList.add("is-at");
    if (focus) at.focus({ preventScroll: true });
    at.scrollIntoView({ block: "nearest" });
  }

  function step(by) {
    const all = waiting();
    if (!all.length) return;
    const place = all.indexOf(at);
    if (place >= 0) return stand(all[Math.min(all.length - 1, Math.max(0, place + by))]);
    const before = at ? all.filter((one) => at.compareDocumentPosition(one) & Node.DOCUMENT_POSITION_PRECEDING).length : 0;
    stand(all[Math.min(all.length - 1, Math.max(0, by > 0 ? before : before - 1))]);
  }

  const seen = (one) => one && one.getClientRects().length > 0 && !one.disabled;
  const within = (root, key) => [...root.querySelectorAll(`[data-key="${CSS.escape(key)}"]`)].find(seen);

  function target(key) {
    const panel = at && at.querySelector(".panel");
    if (panel && panel.childElementCount) {
      const found = within(panel, key);
      if (found) return found;
    }
    if (key === "u") return [...document.querySelectorAll('[data-key="u"]')].filter(seen).sort((a, b) => (b.dataset.when || 0) - (a.dataset.when || 0))[0];
    return (at && within(at, key)) || [...document.querySelectorAll(`[data-key="${CSS.escape(key)}"]`)].find((one) => seen(one) && !one.closest("[data-item]"));
  }

  function press(key) {
    const found = target(key);
    if (found) found.click();
    return Boolean(found);
  }

  function close() {
    const panel = at && at.querySelector(".panel");
    if (!panel || !panel.childElementCount) return false;
    panel.replaceChildren();
    at.focus({ preventScroll: true });
    return true;
  }

  function sheet() {
    const dialog = document.getElementById("keys");
    if (dialog) dialog.open ? dialog.close() : dialog.showModal();
  }

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
    const field = event.target.closest("input:not([type=checkbox]):not([type=radio]), textarea, select, [contenteditable]");
    if (event.key === "Escape") {
      if (field) field.blur();
      if (close()) event.preventDefault();
      return;
    }
    if (field || document.querySelector("dialog[open]")) return;
    const key = event.key;
    if (asking && key.length === 1) {  // fast fingers: what is meant for the sheet waits until it is there
      event.preventDefault();
      typed.push(key);
      return;
    }
    if (act(event, key)) event.preventDefault();
  });

  function act(event, key) {
    if (Date.now() < going) {
      going = 0;
      const link = document.querySelector(`[data-go="${CSS.escape(key)}"]`);
      if (link) link.click();
      return Boolean(link);
    }
    const pressed = event && event.target.closest("button, a, summary, input");
    let done = true;
    if (key === "j" || key === "k") step(key === "j" ? 1 : -1);
    else if (key === "g") going = Date.now() + 1200;
    else if (key === "/") { const box = document.querySelector("[data-search]"); if (box) { box.focus(); box.select(); } else done = false; }
    else if (key === "?") sheet();
    else if (key === "Enter" || key === "o") done = key === "Enter" && pressed ? false : press("o");
    else if (key === " ") { const box = !pressed && at && at.querySelector(".pick input"); if (box) box.click(); else done = false; }
    else if (key.length === 1) done = press(key);
    else done = false;
    return done;
  }

  document.addEventListener("htmx:beforeRequest", (event) => { if (event.target.closest("[data-item]")) asking += 1; });
  document.addEventListener("htmx:afterRequest", (event) => {
    if (!event.detail.requestConfig || !asking) return;
    asking = 0;
    while (typed.length && !asking) act(null, typed.shift());
    if (!asking) typed.length = 0;
  });

  document.addEventListener("click", (event) => {
    const opener = event.target.closest('[data-key="?"]');
    if (opener) { event.preventDefault(); sheet(); return; }
    if (event.target.closest("[data-close]")) { event.preventDefault(); close(); return; }
    const item = event.target.closest("[data-item]");
    if (item && item !== at) stand(item, false);
  });

  // What htmx brought: the panel takes the focus, and after a decision the next one is at hand.
  document.addEventListener("htmx:afterSwap", (event) => {
    const panel = event.target.closest && event.target.closest(".panel");
    const first = panel && panel.querySelector("[data-first]");
    if (first) { first.focus({ preventScroll: true }); panel.scrollIntoView({ block: "nearest" }); }
  });
  document.addEventListener("htmx:load", (event) => {
    const fresh = event.target;
    if (!fresh.matches || !fresh.matches("[data-item]")) return;
    if (fresh.classList.contains("is-done")) {
      decided += 1;
      fresh.querySelectorAll('[data-key="u"]').forEach((one) => { one.dataset.when = decided; });
      at = fresh;
      step(1);
    } else if (document.activeElement === document.body || !at || !at.isConnected) stand(fresh);
  });

  const here = location.hash && document.getElementById(location.hash.slice(1));
  stand(here && here.matches("[data-item]") ? here : waiting()[0], false);
})();
