"use strict";
// Everything that comes from the proxy becomes text of a node, never markup: paths and reasons are anybody's.
const $ = id => document.getElementById(id);
const PAGE = 50, VERSIONS = 20, REFRESH_MS = 15000;
let asked = 0, after = "", shown = 0;

function element(name, text, attributes = {}) {
  const made = document.createElement(name);
  if (text !== undefined) made.textContent = text;
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}

async function ask(path, parameters = {}) {
  // an address with a password in it, as people type it, is none that may be fetched from
  const address = new URL(path + "?" + new URLSearchParams(parameters), location.origin + location.pathname);
  const answer = await fetch(address, { headers: { Accept: "application/json" } });
  if (!answer.ok) throw new Error((await answer.text()).trim() || answer.statusText);
  return answer.json();
}

function problem(error) {
  $("problem").textContent = error ? "The proxy did not answer: " + error.message : "";
  $("problem").hidden = !error;
}

const count = number => number.toLocaleString("en");
const moment = text => text ? text.replace("T", " ").replace(/(\.\d+)?Z$/, " UTC") : "";

function size(bytes) {
  if (bytes === null) return "evicted";
  let value = bytes, unit = "B";
  for (const next of ["kB", "MB", "GB"]) {
    if (value < 1000) break;
    value /= 1000;
    unit = next;
  }
  return (unit === "B" ? value : value.toFixed(1)) + " " + unit;
}

function rows(body, list, cells, none) {
  body.replaceChildren(...list.map(item => {
    const row = element("tr");
    row.append(...cells(item).map(text => element("td", text)));
    return row;
  }));
  if (!list.length) {
    const row = element("tr");
    row.append(element("td", none, { colspan: 9 }));
    body.append(row);
  }
}

async function summary() {
  try {
    const state = await ask("summary");
    $("count").textContent = count(state.modules) + (state.complete ? "" : " so far; still reading the store");
    $("ratio").textContent = state.hitRatio === null ? "nothing was asked for yet"
      : (state.hitRatio * 100).toFixed(1) + " % of " + count(state.hits + state.misses) + " files since the start";
    $("mode").textContent = state.policy.defaultMode;
    $("policy").textContent = state.policy.rules + (state.policy.rules === 1 ? " rule from " : " rules from ") + state.policy.source;
    const following = state.following;
    $("following-row").hidden = !following.url;
    $("following").textContent = following.url ? following.url + (following.problem ? ": " + following.problem : "") : "";
    rows($("refusals"), state.refusals, e => [moment(e.time), e.module, e.version, e.detail], "Nothing was refused lately.");
    rows($("recent"), state.recent, e => [moment(e.time), e.kind, e.module, e.version, e.detail], "Nothing happened lately.");
    problem(null);
  } catch (error) {
    problem(error);
  }
}

function versionRow(version) {
  const row = element("tr");
  row.append(
    element("th", version.version, { scope: "row" }),
    element("td", size(version.zipBytes), { class: "number" }),
    element("td", moment(version.storedAt) || "unknown"),
    element("td", version.source || "unknown"),
    element("td", version.storedBy || "unknown"),
    element("td", moment(version.lastUse) || "not counted"),
    element("td", version.reason || "allowed (" + version.verdict + ")"));
  return row;
}

async function versions(module, place) {
  const table = element("table"), head = element("tr"), body = element("tbody");
  table.append(element("caption", "Stored versions of " + module));
  head.append(...["Version", "Size", "Stored", "From", "By", "Last use", "Policy"].map(text => element("th", text, { scope: "col" })));
  table.append(element("thead"), body);
  table.tHead.append(head);
  const more = element("button", "Show more versions", { type: "button" });
  let last = "";
  async function next() {
    try {
      const page = await ask("versions", { module, after: last, limit: VERSIONS });
      body.append(...page.versions.map(versionRow));
      last = page.next;
      more.hidden = !last;
    } catch (error) {
      place.replaceChildren(element("p", error.message));
    }
  }
  more.hidden = true;
  more.addEventListener("click", next);
  const scroll = element("div", undefined, { class: "scroll", tabindex: "0", role: "group", "aria-label": "Stored versions of " + module });
  scroll.append(table);
  place.replaceChildren(scroll, more);
  await next();
}

function entry(item) {
  const made = element("li"), id = "module-" + shown++;
  const open = element("button", item.module, { type: "button", class: "open", "aria-expanded": "false", "aria-controls": id });
  const place = element("div", undefined, { id });
  place.hidden = true;
  open.addEventListener("click", () => {
    place.hidden = !place.hidden;
    open.setAttribute("aria-expanded", String(!place.hidden));
    if (!place.hidden) versions(item.module, place);
  });
  made.append(open);
  if (item.reason) made.append(element("p", item.reason, { class: "refused" }));
  made.append(place);
  return made;
}

async function search(isMore) {
  const query = $("query").value.trim(), mine = ++asked;
  try {
    const page = await ask("modules", { q: query, after: isMore ? after : "", limit: PAGE });
    if (mine !== asked) return; // a later question was asked meanwhile
    const made = page.modules.map(entry);
    if (isMore) $("results").append(...made); else $("results").replaceChildren(...made);
    after = page.next;
    $("more").hidden = !after;
    const listed = $("results").children.length;
    $("status").textContent = (after ? "The first " + count(listed) : count(listed)) + (listed === 1 ? " module" : " modules")
      + (query ? " with “" + query + "”" : "") + " of " + count(page.total)
      + (page.complete ? "." : " so far; the store is still being read.");
    if (isMore && made.length) made[0].firstChild.focus();
    problem(null);
  } catch (error) {
    if (mine === asked) problem(error);
  }
}

function changed() {
  const address = new URL(location.origin + location.pathname);
  const query = $("query").value.trim();
  if (query) address.searchParams.set("q", query);
  history.replaceState(null, "", address.search || location.pathname);
  search(false);
}

let waiting;
$("query").value = new URL(location).searchParams.get("q") || "";
$("query").addEventListener("input", () => { clearTimeout(waiting); waiting = setTimeout(changed, 200); });
$("search").addEventListener("submit", event => { event.preventDefault(); clearTimeout(waiting); changed(); });
$("more").addEventListener("click", () => search(true));
search(false);
summary();
setInterval(() => { if (!document.hidden) summary(); }, REFRESH_MS);
