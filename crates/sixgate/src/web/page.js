// The dashboard: asks for the views every few seconds and shows them. Names of hosts come from strangers: everything is put
// into the page as text, never as markup.
"use strict";

const EVERY = 5000;
const byId = (id) => document.getElementById(id);
let last = null;
let failing = false;
const shown = new Map();

// An element with children; text stays text.
function make(name, attributes, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes || {})) element.setAttribute(key, value);
  element.append(...children.map((child) => (child instanceof Node ? child : String(child))));
  return element;
}

// Replaces what a place shows, if it is something else: a reader, or a selection, is not thrown out for nothing.
function show(id, data, build) {
  const text = JSON.stringify(data);
  if (shown.get(id) === text) return;
  shown.set(id, text);
  byId(id).replaceChildren(...build());
}

function span(seconds) {
  if (seconds === null || seconds === undefined) return "for ever";
  const two = (n) => String(Math.floor(n)).padStart(2, "0");
  if (seconds < 120) return `${seconds} s`;
  if (seconds < 7200) return `${Math.floor(seconds / 60)} min ${two(seconds % 60)} s`;
  if (seconds < 172800) return `${Math.floor(seconds / 3600)} h ${two((seconds / 60) % 60)} min`;
  return `${Math.floor(seconds / 86400)} d ${two((seconds / 3600) % 24)} h`;
}

const count = (number) => Number(number || 0).toLocaleString("en");

// A table; each row's first cell is its heading. On a phone, rows become blocks.
function table(titles, rows) {
  const head = make("tr", {}, ...titles.map((title) => make("th", { scope: "col" }, title)));
  const body = rows.map((row) =>
    make("tr", {}, ...row.map((cell, at) => (at === 0 ? make("th", { scope: "row" }, cell) : make("td", { "data-name": titles[at] }, cell)))),
  );
  const whole = make("table", { class: "stack" }, make("thead", {}, head), make("tbody", {}, ...body));
  return make("div", { class: "wide" }, whole);
}

// A state is said in words; colour only repeats it.
const WORDS = {
  ok: "works", slow: "slow", broken: "broken", hidden: "broken, and IPv4 hides it", down: "no way out", none: "none",
  unknown: "not known yet",
};
function state(word) {
  const known = Object.hasOwn(WORDS, word);
  return make("span", { class: known ? word : "unknown" }, known ? WORDS[word] : word);
}

function leg(found) {
  if (!found) return "–";
  const time = found.milliseconds === null ? "" : ` ${found.milliseconds.toFixed(1)} ms`;
  const cell = make("span", {}, state(found.state), time);
  if (found.error) cell.append(make("span", { class: "quiet" }, ` (${found.error})`));
  return cell;
}

function health(found) {
  if (!found) return [make("p", {}, "Not looked at: [health] is off, or there is no uplink.")];
  const ways = [["IPv6", found.ipv6], ["IPv4", found.ipv4], ["NAT64", found.nat64]].filter(([, way]) => way);
  const parts = [table(["Family", "State", "Why"], ways.map(([name, way]) => [name, state(way.state), way.why]))];
  if (found.checks.length > 0) {
    const rows = found.checks.map((one) => [one.who, leg(one.ipv6), leg(one.ipv4), leg(one.nat64), one.note || ""]);
    parts.push(make("h3", {}, "Who was asked"), table(["Who", "IPv6", "IPv4", "NAT64", "Note"], rows));
  }
  return parts;
}

const timed = (rows) =>
  rows.map((row) => `${row.what}, ${row.preferred === 0 ? "deprecated, " : ""}lives ${span(row.valid)}`).join("; ");

function uplink(found) {
  if (!found) return [make("p", {}, "None: the prefixes are the LANs' own.")];
  const rows = [
    ["Interface", `${found.interface}, ${found.up ? "up" : "DOWN"}`],
    ["DHCPv6", found.client],
    ["Prefix", timed(found.prefixes) || "none"],
    ["Address", timed(found.addresses) || "none"],
    ["Router", timed(found.routers) || "none"],
    ["Resolvers", found.resolvers.join(", ") || "none"],
  ];
  return [table(["What", "Now"], rows)];
}

function lans(found) {
  const rows = found.map((lan) => [
    lan.name === lan.interface ? lan.name : `${lan.name} (${lan.interface})`,
    lan.up ? "up" : "DOWN",
    timed(lan.prefixes) || "none",
    count(lan.leases),
    lan.other_routers.join(", ") || "none",
  ]);
  return [table(["LAN", "Link", "Prefixes", "Leases", "Other routers"], rows)];
}

// Most rows that are shown: a phone has an end.
const MOST = 500;
function clients(leases) {
  if (leases.length === 0) return [make("p", {}, "No leases. Hosts that form their own addresses hold none.")];
  const rows = leases.slice(0, MOST).map((lease) => [
    lease.hostname || "(no name)",
    lease.resource,
    lease.lan,
    lease.state,
    span(lease.valid),
    lease.link_layer || "–",
  ]);
  const parts = [table(["Name", "Address or prefix", "LAN", "State", "Lives", "MAC"], rows)];
  if (leases.length > MOST) parts.push(make("p", {}, `${count(leases.length - MOST)} more: sixgate leases shows all.`));
  return parts;
}

function numbers(pairs) {
  return [table(["What", "How many"], pairs.map(([name, number]) => [name, count(number)]))];
}

function nat64(found) {
  return numbers([
    ["Sessions now", found.sessions],
    ["Hosts' links with sessions", found.subscribers],
    ["Packets to IPv4", found.counters["to-ipv4"]],
    ["Packets back", found.counters["to-ipv6"]],
    ["Sessions since the start", found.counters["sessions-created"]],
    ["Sessions that had to make room", found.counters["sessions-evicted"]],
    ...Object.entries(found.discarded).map(([why, number]) => [`Discarded: ${why}`, number]),
  ]);
}

function shape(queues) {
  const rate = (bits) => `${(bits / 1e6).toFixed(bits < 1e7 ? 1 : 0)} Mbit/s`;
  const delay = (us) => `${(us / 1000).toFixed(1)} ms`;
  const ways = queues.flatMap((queue) => queue.directions.map((way) => ({ interface: queue.interface, ...way })));
  const rows = ways.flatMap((way) =>
    way.tins.map((tin) => [
      way.interface, way.tins.length > 1 ? `${way.direction}, ${tin.tin}` : way.direction,
      rate(tin.rate), `${delay(tin["delay-us"])} (peaks ${delay(tin["peak-delay-us"])})`,
      count(tin.packets), count(tin.dropped + tin.overflowed), count(tin.marked), count(tin.backlog),
    ]),
  );
  return [table(["Interface", "Way", "Rate", "Wait", "Packets", "Dropped", "Marked", "Waiting"], rows)];
}

function dns(found) {
  return numbers([
    ["Questions", found.queries],
    ["Answered from the cache", found.hits],
    ["Answered by this gateway itself", found.local],
    ["Asked of resolvers", found["upstream-queries"]],
    ["Resolvers' silences", found["upstream-timeouts"]],
    ["Could not be answered", found.servfail],
    ["Made for the NAT64", found["dns64-synthesised"]],
  ]);
}

// A share with its interval of 95 %.
function share(found) {
  if (!found.of) return "none yet";
  const percent = (part) => `${Math.round(part * 100)} %`;
  return `${found.count} of ${found.of} (${percent(found.low)} to ${percent(found.high)})`;
}

function drawing(name, attributes, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
}

// How many of a day's clients are ready, and how many do without IPv4, from 0 to 100 % over the days.
function curve(days) {
  const [width, height] = [600, 160];
  const x = (at) => (days.length < 2 ? width / 2 : (at * width) / (days.length - 1));
  const y = (part) => height - part * height;
  const line = (key) =>
    days.map((day, at) => `${at ? "L" : "M"}${x(at).toFixed(1)} ${y(day.clients ? day[key] / day.clients : 0).toFixed(1)}`).join("");
  const end = days[days.length - 1];
  const words = `Over ${days.length} days; on the last one ${end.ready} of ${end.clients} clients were ready and ${end.without} did without IPv4.`;
  const axes = [0, 0.5, 1].map((part) => drawing("line", { class: "axis", x1: 0, x2: width, y1: y(part), y2: y(part) }));
  const picture = drawing(
    "svg", { viewBox: `-4 -4 ${width + 8} ${height + 8}`, role: "img", "aria-label": words }, ...axes,
    drawing("path", { class: "curve", d: line("ready") }), drawing("path", { class: "curve second", d: line("without") }),
  );
  return [picture, make("p", { class: "quiet" }, `${words} The line is who is ready, the dashes who does without; from 0 to 100 %.`)];
}

const STANDS = { reached: "reached", open: "not sure yet", missed: "not reached" };
function census(found) {
  const report = found.report;
  const lines = report.lines.map((line) => `${line.percent} %: ${STANDS[line.stands] || line.stands}`).join("; ");
  const parts = [
    table(["What", "Clients"], [
      ["Could live without IPv4 today", share(report.ready)],
      ["Of those with a lasting hardware address", share(report.ready_stable)],
      ["Live without it now", share(report.without)],
      ["Ask to (option 108)", share(report.asking)],
      ["Lines", lines || "none"],
    ]),
  ];
  if (found.days.length > 0) parts.push(make("h3", {}, "Day by day"), ...curve(found.days));
  if (found.needs.length > 0) {
    const rows = found.needs.slice(0, 20).map((need) => [need.what, need.kind, count(need.clients)]);
    parts.push(make("h3", {}, "What IPv4 was needed for"), table(["What", "How", "Clients"], rows));
  }
  if (found.clients.length > 0) {
    const rows = found.clients.slice(0, MOST).map((client) => [
      client.name || client.id, client.family, client.stage,
      `${Math.round(client.score.low * 100)} to ${Math.round(client.score.high * 100)} % in ${client.score.hours} h`,
      client.needs.map((need) => need.what || need.kind).join(", ") || "nothing seen",
    ]);
    parts.push(make("h3", {}, "Client by client"), table(["Client", "Family", "Stage", "Score", "Needed IPv4 for"], rows));
  }
  return parts;
}

function pilot(found) {
  return [
    table(["What", "Now"], [
      ["Told to do without IPv4", `${found.percent} % of those that ask`],
      ["Asked for it", count(found.asked)],
      ["Chosen", count(found.chosen)],
      ["Without IPv4 now", count(found.waiting)],
    ]),
  ];
}

async function get(path) {
  const response = await fetch(path, { cache: "no-store", signal: AbortSignal.timeout(EVERY) });
  if (response.status === 401 || response.status === 404) return null;
  if (!response.ok) throw new Error(`${path}: ${response.status}`);
  return response.json();
}

function say(well) {
  const place = byId("state");
  const sentence = well ? "All is well." : "Something needs attention.";
  // Said again only when it changes: it is read aloud.
  if (place.textContent !== sentence) place.textContent = sentence;
  place.setAttribute("class", well ? "well" : "unwell");
}

function showStatus(status) {
  say(status.problems.length === 0);
  byId("problems").hidden = status.problems.length === 0;
  show("problems-list", status.problems, () => status.problems.map((problem) => make("li", {}, problem)));
  show("health", status.health, () => health(status.health));
  show("uplink", status.uplink, () => uplink(status.uplink));
  show("lans", status.lans, () => lans(status.lans));
  byId("nat64-section").hidden = !status.nat64;
  if (status.nat64) show("nat64", status.nat64, () => nat64(status.nat64));
  const queues = [status.shape, ...status.lans.map((lan) => lan.shape)].filter(Boolean);
  byId("shape-section").hidden = queues.length === 0;
  show("shape", queues, () => shape(queues));
  show("dns", status.dns, () => dns(status.dns));
  byId("version").textContent = `sixgate ${status.version}, up ${span(status.uptime)}`;
}

async function refresh() {
  const status = await get("/api/v1/status");
  byId("known").hidden = !status;
  byId("login").hidden = Boolean(status);
  if (!status) {
    const found = await get("/api/v1/health");
    if (found) say(found.well);
    byId("problems").hidden = true;
    return;
  }
  showStatus(status);
  const leases = await get("/api/v1/leases");
  if (leases) show("clients", leases, () => clients(leases));
  const counted = await get("/api/v1/census");
  byId("census-section").hidden = !counted;
  if (counted) show("census", counted, () => census(counted));
  const piloted = await get("/api/v1/pilot");
  byId("pilot-section").hidden = !piloted;
  if (piloted) show("pilot", piloted, () => pilot(piloted));
}

async function tick() {
  if (!document.hidden) {
    try {
      await refresh();
      last = Date.now();
      failing = false;
    } catch {
      failing = true;
    }
    age();
  }
  setTimeout(tick, EVERY);
}

// How old what is shown is, said every second; and that the gateway has gone, once it has.
function age() {
  const seconds = last === null ? null : Math.round((Date.now() - last) / 1000);
  byId("age").textContent = seconds === null ? "" : `as of ${span(seconds)} ago`;
  byId("gone").hidden = !failing;
  byId("gone-age").textContent = seconds === null ? "old" : `${span(seconds)} old`;
  byId("known").setAttribute("class", failing ? "stale" : "");
}

async function send(path, body, done) {
  try {
    const headers = { "Content-Type": "application/x-www-form-urlencoded" };
    const response = await fetch(path, { method: "POST", body, headers, signal: AbortSignal.timeout(EVERY) });
    const answer = await response.json();
    done.textContent = response.ok ? "Done." : answer.error;
  } catch {
    done.textContent = "No answer from the gateway: it is not known whether it was done.";
  }
}

byId("reload-form").addEventListener("submit", (event) => {
  event.preventDefault();
  send("/api/v1/reload", "", byId("done"));
});
byId("pilot-form").addEventListener("submit", (event) => {
  event.preventDefault();
  send("/api/v1/pilot", `percent=${Number(byId("percent").value)}`, byId("pilot-done"));
});
setInterval(age, 1000);
tick();
