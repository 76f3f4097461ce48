"use strict";
// Follows the status: asks for the main part now and then, and changes only what differs, so that
// focus, selection and what is unfolded stay as they are.
(() => {
  const PAUSE = 2000;
  const main = document.getElementById("main");
  const connection = document.getElementById("connection");
  let tag = main.dataset.tag;
  let timer;

  const UNITS = [["day", 86400], ["hour", 3600], ["minute", 60], ["second", 1]];
  const relative = new Intl.RelativeTimeFormat("en", { numeric: "auto" });
  const tellTimes = () => {
    for (const time of main.querySelectorAll("time")) {
      const seconds = Math.round((Date.parse(time.dateTime) - Date.now()) / 1000);
      const [unit, length] = UNITS.find(([, length]) => Math.abs(seconds) >= length) ?? UNITS[3];
      const isNow = Math.abs(seconds) < 5 || (seconds < 0 && time.dataset.due !== undefined);
      const text = isNow ? "now" : relative.format(Math.trunc(seconds / length), unit);
      if (time.textContent !== text) time.textContent = text;
    }
  };

  const isSame = (a, b) => a.nodeName === b.nodeName && (a.id ?? "") === (b.id ?? "");

  const alignAttributes = (from, to) => {
    if (from.nodeName === "DETAILS" && from.dataset.open !== to.dataset.open) from.open = to.open;
    for (const { name } of [...from.attributes])
      if (name !== "open" && !to.hasAttribute(name)) from.removeAttribute(name);
    for (const { name, value } of [...to.attributes])
      if (name !== "open" && from.getAttribute(name) !== value) from.setAttribute(name, value);
  };

  const align = (from, to) => {
    // What the script alone writes.
    if (from.dataset?.own !== undefined) return;
    if (from.nodeType !== Node.ELEMENT_NODE) {
      if (from.nodeValue !== to.nodeValue) from.nodeValue = to.nodeValue;
      return;
    }
    const isTold = from.nodeName === "TIME" && from.dateTime === to.dateTime;
    alignAttributes(from, to);
    if (!isTold) alignChildren(from, to);
  };

  const alignChildren = (from, to) => {
    const named = new Map([...from.children].filter((it) => it.id).map((it) => [it.id, it]));
    let at = from.firstChild;
    for (const next of [...to.childNodes]) {
      const old = next.id ? named.get(next.id) : at;
      if (old && isSame(old, next)) {
        if (old === at) at = at.nextSibling;
        else from.insertBefore(old, at);
        align(old, next);
      } else {
        from.insertBefore(next, at);
      }
    }
    while (at) {
      const last = at;
      at = at.nextSibling;
      last.remove();
    }
  };

  // Shows the entries that have all these words, or need attention, and the targets that have such
  // entries; what is folded is unfolded meanwhile.
  const folds = new Map();
  const setOpen = (details, isFiltered, hasRows) => {
    if (isFiltered && hasRows) {
      if (!folds.has(details)) folds.set(details, details.open);
      details.open = true;
    } else if (!isFiltered && folds.has(details)) {
      details.open = folds.get(details);
      folds.delete(details);
    }
  };
  const filter = () => {
    const field = document.getElementById("filter-words");
    if (!field) return;
    const words = field.value.toLowerCase().split(/\s+/).filter((word) => word);
    const isRestless = document.getElementById("filter-restless").checked;
    const isFiltered = words.length > 0 || isRestless;
    let [shown, all] = [0, 0];
    for (const target of main.querySelectorAll(".target")) {
      const name = target.querySelector("h3").textContent;
      for (const row of target.querySelectorAll("tbody tr")) {
        const text = `${name} ${row.textContent}`.toLowerCase();
        const isShown = words.every((word) => text.includes(word))
          && (!isRestless || row.dataset.restless !== undefined);
        if (row.hidden === isShown) row.hidden = !isShown;
        all += 1;
        shown += isShown;
      }
      for (const details of [target, ...target.querySelectorAll("details")]) {
        const hasRows = details.querySelector("tbody tr:not([hidden])") !== null;
        details.hidden = isFiltered && !hasRows && (details !== target || target.querySelector("tbody") !== null || words.length > 0);
        setOpen(details, isFiltered, hasRows);
      }
      for (const table of target.querySelectorAll("table"))
        table.hidden = table.querySelector("tbody tr:not([hidden])") === null;
    }
    const hint = isFiltered ? `${shown} of ${all} entries` : "";
    const place = document.getElementById("filter-hint");
    if (place.textContent !== hint) place.textContent = hint;
  };

  const showVerdict = () => {
    const { title, icon } = document.getElementById("verdict").dataset;
    if (document.title !== title) document.title = title;
    const link = document.getElementById("icon");
    if (link.getAttribute("href") !== icon) link.href = icon;
  };

  const show = (text) => {
    const focused = document.activeElement?.id;
    const made = new DOMParser().parseFromString(text, "text/html");
    alignChildren(main, made.body);
    tellTimes();
    filter();
    showVerdict();
    // What was moved has lost it.
    if (focused && document.activeElement === document.body) document.getElementById(focused)?.focus();
  };

  const say = (text) => {
    if (connection.textContent !== text) connection.textContent = text;
  };

  const look = async () => {
    clearTimeout(timer);
    if (document.hidden) return;
    try {
      const answer = await fetch(main.dataset.from, {
        headers: { "If-None-Match": `"${tag}"` }, cache: "no-store", credentials: "same-origin",
      });
      if (answer.status === 401 || answer.status === 403) return location.reload();
      if (answer.status === 200) {
        show(await answer.text());
        tag = answer.headers.get("ETag")?.replaceAll('"', "") ?? tag;
      }
      say(answer.ok || answer.status === 304 ? "" : "appcred cannot answer now.");
    } catch {
      say("appcred does not answer; this is how it was.");
    }
    tellTimes();
    timer = setTimeout(look, PAUSE);
  };

  // Browsers give the clipboard only to https and this machine; elsewhere the text is selected.
  const copy = async ({ target }) => {
    const text = target.closest?.(".copy")?.previousElementSibling;
    if (!text) return;
    getSelection().selectAllChildren(text);
    try {
      await navigator.clipboard.writeText(text.textContent);
      say("Copied.");
    } catch {
      say("Selected: copy it with Ctrl+C.");
    }
  };

  document.documentElement.classList.add("script");
  main.addEventListener("click", copy);
  main.addEventListener("input", filter);
  tellTimes();
  // A browser that goes back fills the field in again.
  filter();
  timer = setTimeout(look, PAUSE);
  document.addEventListener("visibilitychange", look);
})();
