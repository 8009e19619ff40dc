"use strict";
// Polls the same JSON API that people and scripts use; text goes in as text, never as markup.

const KEEP = 300;

function element(tag, text, className) {
  const node = document.createElement(tag);
  if (text !== undefined && text !== null) node.textContent = text;
  if (className) node.className = className;
  return node;
}

function human(value, name) {
  if (value === null || value === undefined) return "unknown";
  const seconds = name.includes("latency") || name.includes("_seconds") || name.includes("stalled") || name.includes("unanswered");
  if (seconds) return value < 1 ? `${(value * 1000).toFixed(value < 0.01 ? 1 : 0)} ms` : `${value.toFixed(1)} s`;
  if (name.includes("ratio") || name.includes("spread")) return `${(value * 100).toFixed(1)} %`;
  return Number.isInteger(value) ? String(value) : value.toFixed(2);
}

function fill(id, heads, rows) {
  const table = document.getElementById(id);
  table.replaceChildren();
  const head = element("tr");
  heads.forEach((text) => head.append(element("th", text)));
  table.append(head);
  if (!rows.length) { const row = element("tr"); row.append(element("td", "none")); table.append(row); }
  rows.forEach((cells) => {
    const row = element("tr");
    cells.forEach(([text, className]) => row.append(element("td", text, className)));
    table.append(row);
  });
}

function when(wall) { return wall ? new Date(wall * 1000).toLocaleTimeString() : ""; }

// Levels whose colour says that nobody need get up; everything else is yellow or red, and the words say it too.
const COLOURS = { well: "ok", idle: "unknown", warming: "unknown", elsewhere: "unknown", paused: "unknown",
  blind: "unknown", partly_blind: "unknown" };
const MARKS = { well: "✓", idle: "·", warming: "…", elsewhere: "…", paused: "…", blind: "?", partly_blind: "?" };

function sentence(status) {
  const box = document.getElementById("sentence");
  const headline = status.headline, lines = [];
  lines.push(element("p", headline.sentence, COLOURS[headline.level] || "breach"));
  if (headline.since !== null) {
    const since = status.now.wall - (status.now.boot - headline.since);
    lines.push(element("small", `since ${when(since)} · ${headline.remark}`));
  }
  headline.also.forEach((text) => lines.push(element("small", `also: ${text}`)));
  ((status.incident || {}).held || []).forEach((held) => lines.push(element("small", `held by ${held.gate}: ${held.because}`)));
  if (headline.next_command) lines.push(element("code", headline.next_command));
  const bypass = status.relay.bypass;
  if (bypass) {
    lines.push(element("p", `BYPASSED by ${bypass.author} since ${when(bypass.since_wall)}: ${bypass.reason}. ` +
      `The relay reads nothing (${bypass.workers} of ${bypass.of} workers).`, "breach"));
    lines.push(element("code", "watchtower bypass --off"));
  }
  box.replaceChildren(...lines);
  document.title = `${MARKS[headline.level] || "!"} ${headline.sentence}`;
}

function unanswered() {
  const fresh = document.getElementById("fresh");
  fresh.textContent = "Watchtower does not answer";
  fresh.className = "chip breach";
  document.title = "! Watchtower does not answer";
  document.getElementById("sentence").replaceChildren(
    element("p", "Watchtower does not answer, so nobody watches. What stands below is old.", "breach"),
    element("code", "watchtower doctor"));
}

function draw(history, limit) {
  const svg = document.getElementById("chart");
  svg.replaceChildren();
  const known = history.filter((point) => point !== null);
  if (!known.length) return;
  const top = Math.max(...known, limit || 0) * 1.15;
  const make = (tag, attributes, text) => {
    const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
    Object.entries(attributes).forEach(([key, value]) => node.setAttribute(key, value));
    if (text) node.textContent = text;
    svg.append(node);
  };
  const y = (value) => 136 - (value / top) * 128;
  let run = [];
  const flush = () => { if (run.length) make("polyline", { points: run.join(" ") }); run = []; };
  history.forEach((value, index) => {
    if (value === null) flush(); // UNKNOWN is a gap, never a zero
    else run.push(`${((index + KEEP - history.length) / KEEP) * 600},${y(value)}`);
  });
  flush();
  if (limit) {
    make("line", { x1: 0, x2: 600, y1: y(limit), y2: y(limit), class: "limit" });
    make("text", { x: 4, y: y(limit) - 3 }, `limit ${human(limit, "latency")}`);
  }
  make("text", { x: 540, y: 12 }, human(known[known.length - 1], "latency"));
}

async function refresh() {
  const fresh = document.getElementById("fresh");
  try {
    const [status, incidents, actions, latency] = await Promise.all(
      ["status", "incidents", "actions", "latency"].map((name) => fetch(`/api/v1/${name}`, { signal: AbortSignal.timeout(3000) }).then((reply) => reply.json())));
    document.getElementById("target").textContent = status.target;
    document.getElementById("mode").textContent = `mode ${status.mode} · profile ${status.profile}`;
    fresh.textContent = `updated ${when(status.now.wall)}`;
    fresh.className = "chip ok";
    sentence(status);
    const slow = status.rules.find((rule) => rule.limit !== null && rule.unit === "s" && rule.rule.includes("slow"));
    draw(latency.seconds.map((point) => point.p95), slow ? slow.limit : null);
    fill("rules", ["rule", "verdict", "what it sees"],
      status.rules.map((rule) => [[rule.rule], [rule.firing ? `${rule.verdict} · firing` : rule.verdict, rule.verdict], [rule.sentence]]));
    fill("unread", ["route", "why unread", "passed", "statuses", "mean time"],
      status.relay.unread.map((route) => [[route.route], [route.cause], [String(route.requests), "number"],
        [Object.entries(route.statuses).sort().map(([level, count]) => `${level} ${count}`).join(", ")],
        [human(route.mean_seconds, "latency"), "number"]]));
    fill("incidents", ["opened", "id", "state", "what"],
      incidents.incidents.slice(0, 10).map((one) => [[when(one.opened_wall)], [one.id], [one.state], [one.title]]));
    fill("actions", ["op", "verb", "state", "verified by / because"],
      actions.actions.slice(0, 10).map((one) => [[one.op_id], [one.verb], [one.state], [(one.verified_by || []).join(" · ") || one.because]]));
    fill("readings", ["reading", "value", "band", "why unknown, or what to know"],
      status.readings.map((one) => [[one.name], [human(one.value, one.name), "number"],
        [one.low === null ? "" : `${human(one.low, one.name)} – ${human(one.high, one.name)}`, "number"], [[one.because, one.detail].filter(Boolean).join(" · ")]]));
  } catch (problem) {
    unanswered();
  }
}

async function watch() {
  await refresh();
  setTimeout(watch, 1000); // one question at a time: a daemon that stands still is not asked ever more
}

watch();
