// What the pages do beyond being read: they keep themselves up to date, sort and filter their tables,
// and ask again within the page. Everything works without this file, only slower.
"use strict";

const root = document.body.dataset.root;
const $ = (query, from = document) => from.querySelector(query);
const $$ = (query, from = document) => [...from.querySelectorAll(query)];
const main = $("#main");
document.documentElement.classList.add("js");

// === Tables: sorted and filtered as people last wished, also when new rows come ===

const sorted = new Map();   // id of a table: [column, whether descending]
const filters = new Map();  // id of a table: text

function valueOf(row, column) {
  const cell = row.cells[column];
  const value = cell?.dataset.v ?? cell?.textContent.trim() ?? "";
  const number = Number(value);
  return value !== "" && !Number.isNaN(number) ? number : value;
}

function compare(a, b) {
  if (typeof a === "number" && typeof b === "number") return a - b;
  return String(a).localeCompare(String(b), undefined, { numeric: true });
}

function arrange(tree) {
  for (const [id, [column, isDown]] of sorted) {
    const table = $(`table[id="${id}"]`, tree);
    if (!table?.tBodies[0]) continue;
    $$("th", table.tHead).forEach((th, i) =>
      i === column ? th.setAttribute("aria-sort", isDown ? "descending" : "ascending") : th.removeAttribute("aria-sort"));
    const rows = [...table.tBodies[0].rows];
    rows.sort((a, b) => (isDown ? -1 : 1) * compare(valueOf(a, column), valueOf(b, column)));
    table.tBodies[0].append(...rows);
  }
  for (const [id, text] of filters) {
    const box = $(`[data-filter="${id}"]`, tree);
    // Without its box nobody could see that a table is filtered, nor end it.
    if (!box) filters.delete(id);
    else if (box.value !== text) box.value = text;
    const words = box ? text.toLowerCase().split(/\s+/).filter(Boolean) : [];
    for (const row of $(`table[id="${id}"]`, tree)?.tBodies[0]?.rows ?? []) {
      const content = row.textContent.toLowerCase();
      row.hidden = !words.every((word) => content.includes(word));
    }
  }
}

// === New pages: what is different is changed, all else stays as people have it ===

const keyOf = (node) => node.nodeType === 1 ? node.dataset.key ?? (node.id || undefined) : undefined;
const isSame = (a, b) => a.nodeType === b.nodeType && a.nodeName === b.nodeName && keyOf(a) === keyOf(b);
// What people have opened, filled in or ticked is theirs.
const THEIRS = new Set(["open", "value", "checked"]);

function morph(old, fresh) {
  if (old.nodeType !== 1) {
    if (old.nodeValue !== fresh.nodeValue) old.nodeValue = fresh.nodeValue;
    return;
  }
  for (const { name } of [...old.attributes]) {
    if (!fresh.hasAttribute(name) && !THEIRS.has(name)) old.removeAttribute(name);
  }
  for (const { name, value } of fresh.attributes) {
    if (!THEIRS.has(name) && old.getAttribute(name) !== value) old.setAttribute(name, value);
  }
  if (!old.matches("input, textarea, select")) morphChildren(old, fresh);
}

function morphChildren(old, fresh) {
  const keyed = new Map();
  for (const child of old.childNodes) if (keyOf(child) !== undefined) keyed.set(keyOf(child), child);
  let place = old.firstChild;
  for (const wanted of [...fresh.childNodes]) {
    const key = keyOf(wanted);
    let found = key === undefined ? place : keyed.get(key);
    // Without a key the next one that has none is taken, as long as it is of the same kind.
    if (key === undefined && found && keyOf(found) !== undefined) found = undefined;
    // Whatever has the same key once more is another one.
    keyed.delete(key);
    if (found && isSame(found, wanted)) {
      if (found === place) place = place.nextSibling;
      else old.insertBefore(found, place);
      morph(found, wanted);
    } else {
      old.insertBefore(wanted, place);
    }
  }
  while (place) {
    const next = place.nextSibling;
    place.remove();
    place = next;
  }
}

let held; // The newest page that is not shown yet.
const isSelecting = () => !getSelection().isCollapsed && main.contains(getSelection().anchorNode);

function show(html) {
  // Nothing moves below a selection that people are making.
  if (isSelecting()) {
    held = html;
    return tell("paused", "paused while text is selected");
  }
  held = undefined;
  const template = document.createElement("template");
  template.innerHTML = html;
  arrange(template.content);
  morphChildren(main, template.content);
  highlight(lit);
}
document.addEventListener("selectionchange", () => {
  if (held === undefined || isSelecting()) return;
  show(held);
  if (state.dataset.state === "paused") tell(...(document.body.dataset.live ? ["live", "live"] : ["off", ""]));
});

// === Live ===

const state = $(".live");
const tell = (name, text) => { state.dataset.state = name; $("span", state).textContent = text; };
const stale = $(".stale");
// Figures that nobody confirms any more stay, and look like it. A page that says so itself needs no mark.
function age(since) {
  const isOld = since !== undefined && !$(".oops", main);
  document.body.toggleAttribute("data-old", isOld);
  stale.hidden = !isOld;
  if (isOld) stale.textContent = `No answer from Nimbus since ${since}: these are the last figures, and they are old.`;
}
let source;

function live() {
  source?.close();
  const page = document.body.dataset.live;
  if (!page || document.hidden) return;
  source = new EventSource(`${root}live?page=${encodeURIComponent(page)}`);
  source.onmessage = ({ data }) => {
    const { title, main, still } = JSON.parse(data);
    tell("live", "live");
    age();
    document.title = document.title.replace(/^.*( · [^·]*)$/, (_, rest) => title + rest);
    if (still) {
      // It was live as long as it could not be shown.
      source.close();
      document.body.dataset.live = "";
      tell("off", "");
    }
    show(main);
    if (still) followLog();
  };
  source.addEventListener("away", ({ data }) => {
    const { since } = JSON.parse(data);
    tell("away", `no answer from Nimbus since ${since}`);
    age(since);
  });
  source.onerror = () => {
    tell("again", "reconnecting");
    // Browsers come again by themselves, but not when the server said no.
    if (source.readyState === EventSource.CLOSED) setTimeout(live, 3000);
  };
}
document.addEventListener("visibilitychange", () => document.hidden ? source?.close() : live());
addEventListener("pagehide", () => source?.close());
addEventListener("pageshow", (event) => event.persisted && live());
live();

// Another window of the same page: only what is different changes.
async function soften(href, push) {
  const answer = await fetch(href, { headers: { accept: "text/html" } });
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
  if (push) history.pushState(null, "", href);
  shown = address();
  document.body.dataset.live = fresh.body.dataset.live ?? "";
  show($("#main", fresh).innerHTML);
  live();
}
addEventListener("popstate", () => {
  // A fragment leads to a place within the same page.
  if (address() === shown) return;
  if ($("[data-soft]", main)) soften(location.href, false);
  else location.reload();
});

// A notice is told once: not again when the page is loaded again.
const here = new URL(location.href);
if (here.searchParams.has("notice") || here.searchParams.has("theme")) {
  here.searchParams.delete("notice");
  here.searchParams.delete("theme");
  history.replaceState(null, "", here);
}
const address = () => location.pathname + location.search;
let shown = address();

// === What people click and type ===

document.addEventListener("click", (event) => {
  const plain = !event.ctrlKey && !event.metaKey && !event.shiftKey && event.button === 0;
  const on = (query) => event.target.closest?.(query);
  const th = on("[data-sort] th");
  if (th) return sortBy(th);
  if (on("[data-dismiss]")) return on(".notice").remove();
  if (on("[data-theme-toggle]") && plain) {
    event.preventDefault();
    return toggleTheme();
  }
  if (on("dialog [data-close]")) {
    event.preventDefault();
    return dialog.close();
  }
  if (event.target === dialog) return dialog.close();
  const link = on("a[data-dialog], a[data-soft]");
  if (!link || !plain) return;
  event.preventDefault();
  if ("soft" in link.dataset) soften(link.href, true).catch(() => { location.href = link.href; });
  else open(link.href).catch(() => { location.href = link.href; });
});

function sortBy(th) {
  const table = th.closest("table");
  if (!th.textContent.trim()) return;
  const column = [...th.parentNode.cells].indexOf(th);
  const [before, wasDown] = sorted.get(table.id) ?? [];
  const isDown = before === column ? !wasDown : th.classList.contains("n") && !("asc" in th.dataset) || "desc" in th.dataset;
  sorted.set(table.id, [column, isDown]);
  arrange(document);
}

document.addEventListener("input", ({ target }) => {
  if (target.dataset.filter) {
    filters.set(target.dataset.filter, target.value);
    arrange(document);
  }
  const line = target.closest(".line");
  const range = line && $("[data-pair]", line);
  if (range) (target === range ? $("input[type=number]", line) : range).value = target.value;
});

document.addEventListener("keydown", (event) => {
  if (event.key !== "/" || event.ctrlKey || event.metaKey || event.target.closest?.("input, textarea, select")) return;
  event.preventDefault();
  $("[data-search]").select();
});

function toggleTheme() {
  const dark = matchMedia("(prefers-color-scheme: dark)").matches;
  const now = document.documentElement.dataset.theme || (dark ? "dark" : "light");
  const next = now === "dark" ? "light" : "dark";
  document.documentElement.dataset.theme = next;
  document.cookie = `storm-theme=${next}; path=/; max-age=31536000; samesite=lax`;
}

// Slots of one topology stand out while the pointer is on it.
let lit = "";
function highlight(topology) {
  lit = topology;
  const map = $(".slotmap:not(.large)");
  if (!map) return;
  map.classList.toggle("dim-others", topology !== "");
  for (const slot of $$(".slot[data-t]", map)) slot.classList.toggle("lit", topology !== "" && slot.dataset.t === topology);
}
main.addEventListener("pointerover", ({ target }) => {
  const of = target.closest("[data-highlight] tr[data-t], .slotmap .slot[data-t]")?.dataset.t ?? "";
  if (of !== lit) highlight(of);
});
main.addEventListener("pointerleave", () => lit && highlight(""));

// === Actions: their pages open within this one ===

const dialog = $("#dialog");

// Shows the form of an answer; one without a form is a refusal, in its own words.
async function fill(answer) {
  const text = await answer.text();
  const isPage = answer.headers.get("content-type")?.startsWith("text/html");
  const page = new DOMParser().parseFromString(isPage ? text : "", "text/html");
  const form = $("form.action", page);
  if (!form) throw new Error(isPage ? $$(".oops h1, .oops .what", page).map((part) => part.textContent).join(": ") : text.trim());
  // Its links are relative to the page that it comes from.
  form.action = new URL(form.getAttribute("action"), answer.url).href;
  $("div", dialog).replaceChildren(form);
  if (!dialog.open) dialog.showModal();
  $(".moves", form)?.scrollIntoView({ block: "nearest" });
}

async function open(href) {
  await fill(await fetch(href));
}

function refuse(form, text) {
  $(".refused", form)?.remove();
  form.prepend(Object.assign(document.createElement("p"), { className: "refused", textContent: text }));
  for (const button of $$("button", form)) button.disabled = false;
}

dialog.addEventListener("submit", async (event) => {
  event.preventDefault();
  const form = event.target;
  const body = new URLSearchParams(new FormData(form, event.submitter));
  for (const button of $$("button", form)) button.disabled = true;
  let answer;
  try {
    answer = await fetch(form.action, { method: "POST", body });
  } catch (error) {
    return refuse(form, `The server does not answer: ${error.message}`);
  }
  if (answer.redirected) location.href = answer.url;
  else await fill(answer).catch((error) => refuse(form, error.message || `The server answers ${answer.status}.`));
});

// === Charts: what they say below the pointer ===

const read = Object.assign(document.createElement("div"), { className: "read", hidden: true });
const cross = Object.assign(document.createElement("div"), { className: "cross" });
document.body.append(read);

main.addEventListener("pointermove", (event) => {
  const chart = event.target.closest(".chart");
  if (!chart) {
    read.hidden = true;
    cross.remove();
    return;
  }
  const box = chart.getBoundingClientRect();
  const lines = $$("data", chart).map((line) => [line.dataset.name, line.dataset.values.split(";")]);
  const count = lines[0]?.[1].length ?? 0;
  if (count < 2) return;
  const at = Math.round(Math.min(1, Math.max(0, (event.clientX - box.left) / box.width)) * (count - 1));
  const secs = (count - 1 - at) * Number(chart.dataset.span);
  const when = secs === 0 ? "now" : secs < 60 ? `${secs} s ago` : `${Math.floor(secs / 60)} min ${Math.round(secs % 60)} s ago`;
  read.textContent = [when, ...lines.map(([name, values]) => `${name}  ${values[at] || "–"}`)].join("\n");
  read.hidden = false;
  read.style.left = `${Math.min(event.clientX + 14, innerWidth - read.offsetWidth - 8)}px`;
  read.style.top = `${event.clientY + 16}px`;
  cross.style.left = `${(at / (count - 1)) * 100}%`;
  if (cross.parentNode !== chart) chart.append(cross);
});
main.addEventListener("pointerleave", () => { read.hidden = true; cross.remove(); });

// === Logs: their end as it grows ===

const LINES_MAX = 20000;
// So often in a row the server may refuse; then it is not asked again by itself.
const REFUSALS_MAX = 5;
// What was followed for so long was not refused.
const LONG_MS = 10000;

function followLog() {
  const log = $("[data-log]");
  const follow = $("[data-follow]");
  if (!log || !follow) return;
  follow.closest("label").hidden = false;
  let tail;
  let again;
  let refusals = 0;
  const next = new URL(follow.dataset.follow, location.href);
  const atEnd = () => log.scrollTop + log.clientHeight >= log.scrollHeight - 40;
  const toEnd = () => { log.scrollTop = log.scrollHeight; };
  const stop = () => {
    clearTimeout(again);
    tail?.close();
  };
  const start = () => {
    stop();
    // Browsers have few connections to a host: nobody looks at a hidden page.
    if (!follow.checked || document.hidden) return;
    let reason = "";
    const begun = Date.now();
    tail = new EventSource(next);
    tail.onopen = () => tell("live", "following");
    tail.addEventListener("end", ({ data }) => { reason = data; });
    tail.onerror = () => {
      if (Date.now() - begun > LONG_MS) refusals = 0;
      // Whoever is only away for a while says nothing.
      if (reason || tail.readyState === EventSource.CLOSED) refusals += 1;
      stop();
      if (refusals >= REFUSALS_MAX) {
        follow.checked = false;
        return tell("away", `not followed any more: ${reason || "the server refuses it"}`);
      }
      tell("again", reason || "reconnecting");
      // From where it ended, not from where the page did.
      again = setTimeout(start, 3000);
    };
    tail.onmessage = ({ data }) => {
      refusals = 0;
      const { offset, lines } = JSON.parse(data);
      const stay = atEnd();
      log.insertAdjacentHTML("beforeend", lines);
      while (log.childElementCount > LINES_MAX) log.firstElementChild.remove();
      next.searchParams.set("start", offset);
      $("[data-end]").textContent = offset.toLocaleString("en");
      if (stay) toEnd();
    };
  };
  follow.addEventListener("change", () => {
    refusals = 0;
    if (follow.checked) return start();
    stop();
    tell("off", "");
  });
  document.addEventListener("visibilitychange", () => document.hidden ? stop() : start());
  addEventListener("pagehide", stop);
  addEventListener("pageshow", (event) => event.persisted && start());
  if (!location.hash) toEnd();
  start();
}
followLog();
