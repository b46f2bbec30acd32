// The dashboard. Whatever the server says is somebody's text (labels, model names, log lines): it goes in as text nodes
// and form values only, never as HTML.
"use strict";

const MAX_LINES = 500;
const MAX_ROWS = 100;
const LATER = 1000; // ms between an event and the question that it leads to
const view = { accounts: new Map(), quota: new Map(), running: new Map(), queues: {}, recent: [], stats: null, tab: "" };

// ---- elements

const at = (id) => document.getElementById(id);

/** ``fields``: attributes, but ``class`` and, as functions, events. ``children``: elements, or what becomes text. */
function make(tag, fields = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(fields)) {
    if (typeof value === "function") element.addEventListener(name, value);
    else if (value !== null && value !== undefined && value !== false) element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

const fill = (id, ...children) => at(id).replaceChildren(...children.flat(Infinity).filter(Boolean));
const dim = (text) => make("p", { class: "dim" }, text);
const pill = (text, kind) => make("span", { class: `pill ${kind}` }, text);
const button = (text, click, kind = "quiet") => make("button", { type: "button", class: kind, click }, text);
const tile = (value, name) => make("div", { class: "tile" }, make("b", {}, String(value)), make("span", {}, name));

/** ``columns``: [title, value of a row, class of its cells]. */
function table(rows, columns, nothing) {
  if (!rows.length) return dim(nothing);
  const head = make("tr", {}, columns.map(([title, , kind]) => make("th", { class: kind }, title)));
  const body = rows.map((row) => make("tr", {}, columns.map(([, cell, kind]) => make("td", { class: kind }, cell(row) ?? "–"))));
  return make("table", {}, make("thead", {}, head), make("tbody", {}, body));
}

/** A name, what is said of it, and a bar, where ``part`` says how full; more than full is full. */
function meter(name, said, part = null, kind = "") {
  const text = make("div", { class: "meter-text" }, make("span", {}, name), make("span", {}, said));
  if (part === null) return make("div", { class: "meter" }, text);
  const inside = make("div", { class: `fill ${kind}` });
  inside.style.width = `${Math.max(0, Math.min(1, part)) * 100}%`;
  return make("div", { class: "meter" }, text, make("div", { class: "track" }, inside));
}

// ---- words

const plain = new Intl.NumberFormat("en", { maximumFractionDigits: 2 });
const isNumber = (value) => typeof value === "number" && Number.isFinite(value);
const number = (value) => (isNumber(value) ? plain.format(value) : "–");

function tokens(count) {
  if (!isNumber(count)) return "–";
  if (count >= 1e6) return `${(count / 1e6).toFixed(1)}M`;
  return count >= 1e3 ? `${(count / 1e3).toFixed(1)}K` : String(count);
}

function bytes(count) {
  if (count >= 1048576) return `${(count / 1048576).toFixed(1)} MB`;
  return count >= 1024 ? `${(count / 1024).toFixed(1)} KB` : `${count} B`;
}

function duration(ms) {
  if (!isNumber(ms)) return "–";
  return ms >= 1000 ? `${(ms / 1000).toFixed(1)}s` : `${Math.round(ms)}ms`;
}

function span(seconds) {
  const minutes = Math.floor(seconds / 60);
  const [days, hours] = [Math.floor(minutes / 1440), Math.floor(minutes / 60)];
  if (days) return `${days}d ${hours % 24}h`;
  return hours ? `${hours}h ${minutes % 60}m` : `${minutes}m`;
}

function resets(moment) {
  if (!isNumber(moment)) return "";
  const left = (moment - Date.now()) / 1000;
  return left <= 0 ? "Reset due now" : `Resets in ${span(left)}`;
}

function clock(moment) {
  const date = new Date(moment);
  if (Number.isNaN(date.getTime())) return "–";
  const today = date.toDateString() === new Date().toDateString();
  const time = date.toLocaleTimeString([], { hour12: false });
  return today ? time : `${date.toLocaleDateString([], { month: "short", day: "numeric" })} ${time}`;
}

// ---- the server

class Failed extends Error {
  constructor(status, message, askedForKey = false) {
    super(message);
    this.status = status;
    this.askedForKey = askedForKey; // a page says so already
  }
}

async function call(method, path, body) {
  const options = { method, cache: "no-store", credentials: "same-origin" };
  if (method === "POST" || method === "PUT") {
    options.headers = { "Content-Type": "application/json" };
    options.body = JSON.stringify(body ?? {});
  }
  let reply;
  try {
    reply = await fetch(path, options);
  } catch {
    throw new Failed(0, "The server cannot be reached.");
  }
  const value = await reply.json().catch(() => ({}));
  if (reply.ok) return value;
  const said = typeof value.error === "string" ? value.error : `The server answered ${reply.status}.`;
  const askedForKey = reply.status === 401 && path !== "/dashboard/session";
  if (askedForKey) askForKey();
  throw new Failed(reply.status, said, askedForKey);
}

const get = (path) => call("GET", path);

function tell(text, kind = "good") {
  const notice = make("p", { class: `notice ${kind}` }, text);
  at("notices").append(notice);
  while (at("notices").children.length > 4) at("notices").firstChild.remove();
  setTimeout(() => notice.remove(), kind === "bad" ? 12000 : 4000);
}

/** Run what a person asked for: what goes wrong is shown, and ``source`` cannot be pressed meanwhile. */
async function attempt(action, source) {
  if (source) source.disabled = true;
  try {
    await action();
  } catch (error) {
    if (!error.askedForKey) tell(error.message, "bad");
  } finally {
    if (source) source.disabled = false;
  }
}

const onSubmit = (id, action) =>
  at(id).addEventListener("submit", (event) => {
    event.preventDefault();
    attempt(action, event.submitter);
  });

const timers = new Map();
/** Soon, and once however often it is asked for. */
function soon(name, action) {
  if (timers.has(name)) return;
  timers.set(name, setTimeout(() => {
    timers.delete(name);
    action().catch((error) => error instanceof Failed || console.error(error));
  }, LATER));
}

/** Resolves to what was entered, to "" without a field, or to null when it was cancelled. */
function ask({ title, text, accept, field, value = "", danger = false }) {
  at("dialog-title").textContent = title;
  at("dialog-text").textContent = text;
  at("dialog-label").hidden = !field;
  at("dialog-label").firstElementChild.textContent = field ?? "";
  at("dialog-input").value = value;
  at("dialog-accept").textContent = accept;
  at("dialog-accept").className = danger ? "danger" : "";
  at("dialog").returnValue = "";
  at("dialog").showModal();
  return new Promise((resolve) => {
    at("dialog").addEventListener("close", () => {
      resolve(at("dialog").returnValue === "accepted" ? at("dialog-input").value.trim() : null);
    }, { once: true });
  });
}

// ---- overview

function showTiles() {
  const accounts = [...view.accounts.values()];
  const active = accounts.filter((account) => account.status === "active").length;
  const day = view.day;
  fill("overview-tiles",
    tile(`${active}/${accounts.length}`, "accounts active"),
    tile(view.running.size, "requests under way"),
    tile(view.stats ? span(view.stats.uptime) : "–", "uptime"),
    day && [
      tile(number(day.requestCount), "requests in 24 h"),
      tile(number(day.errorCount), "of them failed"),
      tile(tokens(day.totalTokens), "tokens in 24 h"),
      tile(number(day.credits), "credits in 24 h"),
    ]);
}

function showRunning() {
  const running = [...view.running.values()];
  at("running-count").textContent = running.length ? String(running.length) : "";
  fill("running", table(running, [
    ["Model", (row) => row.model || "–", "name"],
    ["Path", (row) => row.path],
    ["For", (row) => duration(Date.now() - Date.parse(row.timestamp)), "number"],
  ], "Nothing at the moment."));
  showTiles();
}

const REQUEST_COLUMNS = [
  ["Time", (row) => clock(row.timestamp)],
  ["Status", (row) => pill(String(row.status), row.status < 400 ? "good" : row.status < 500 ? "warn" : "bad")],
  ["Model", (row) => row.model || "–", "name"],
  ["Path", (row) => `${row.method} ${row.path}`],
  ["Account", (row) => row.accountLabel || "–"],
  ["In", (row) => tokens(row.inputTokens), "number"],
  ["Out", (row) => tokens(row.outputTokens), "number"],
  ["Cached", (row) => tokens(row.cacheReadInputTokens), "number"],
  ["Credits", (row) => number(row.credits), "number"],
  ["First", (row) => duration(row.ttftMs), "number"],
  ["Took", (row) => duration(row.durationMs), "number"],
  ["Error", (row) => row.errorType || ""],
];

function showRecent() {
  fill("overview-requests", table(view.recent.slice(0, 12), REQUEST_COLUMNS, "None since the server was started."));
  if (view.tab === "requests") showRequests();
}

function showQueues() {
  const rows = Object.entries(view.queues);
  fill("overview-queues", table(rows, [
    ["Model", ([model]) => model, "name"],
    ["Active", ([, queue]) => number(queue.active), "number"],
    ["Waiting", ([, queue]) => number(queue.queued), "number"],
    ["At once", ([, queue]) => number(queue.maxConcurrency), "number"],
    ["Total", ([, queue]) => number(queue.totalRequests), "number"],
  ], "No model was asked yet."));
}

function showAccountsInShort() {
  fill("overview-accounts", [...view.accounts.values()].map((account) => {
    const windows = quotaMeters(account).slice(0, 1);
    return make("div", {}, make("div", { class: "head" }, make("strong", {}, account.label), statusPill(account)), windows);
  }));
  if (!view.accounts.size) fill("overview-accounts", dim("None yet."));
}

async function loadOverview() {
  const [stats, quota, requests] = await Promise.all([get("/api/stats"), get("/api/quota"), get("/api/requests")]);
  view.stats = stats;
  view.quota = new Map(quota.accounts.map((account) => [account.id, account]));
  view.recent = requests.requests;
  view.inspecting = requests.inspecting;
  view.day = await get("/api/metrics/summary?range=24h").then((reply) => reply.summary.totals, () => null);
  showTiles();
  showRecent();
  showAccounts();
}

// ---- accounts

const STATUS_KINDS = { active: "good", exhausted: "warn", rate_limited: "warn", error: "warn", banned: "bad", disabled: "" };
const statusPill = (account) => pill(account.status.replace("_", " "), STATUS_KINDS[account.status] ?? "warn");

function quotaMeters(account) {
  const quota = view.quota.get(account.id);
  const windows = (quota?.windows ?? []).map((window) => {
    if (window.unlimited) return meter(window.label, "unlimited");
    const [used, left] = [window.usedPercent, window.remainingPercent];
    if (!isNumber(left)) return meter(window.label, "–");
    const kind = left > 50 ? "good" : left > 20 ? "warn" : "bad";
    const counted = isNumber(window.remaining) && isNumber(window.entitlement)
      ? `${number(window.remaining)} of ${number(window.entitlement)} left` : `${Math.round(left)}% left`;
    const said = [window.description ?? `${Math.round(used)}% used`, left > 0 && counted];
    const outlook = [resets(window.resetsAt), window.pace?.summary, window.pace?.outlook];
    const shown = meter(window.label, said.filter(Boolean).join(" · "), used / 100, kind);
    if (outlook.some(Boolean)) shown.append(dim(outlook.filter(Boolean).join(" · ")));
    return shown;
  });
  if (quota?.credits) windows.push(dim(`Credits used: ${number(quota.credits.used)}`));
  for (const budget of quota?.budgets ?? []) {
    windows.push(meter(budget.label, `${number(budget.used)} of ${number(budget.amount)}`, (budget.usedPercent ?? 0) / 100));
  }
  return windows;
}

function accountCard(account) {
  const path = `/api/accounts/${encodeURIComponent(account.id)}`;
  const run = (action) => (event) => attempt(async () => {
    await action();
    await loadAccounts();
  }, event.currentTarget);
  const status = (wanted) => run(() => call("PUT", `${path}/status`, { status: wanted }));
  const refresh = run(async () => {
    const reply = await call("POST", `${path}/refresh`);
    for (const error of Object.values(reply.errors ?? {})) if (error) tell(String(error), "bad");
    tell(`${account.label}: asked GitHub again.`);
  });
  const acknowledge = run(async () => {
    const sure = await ask({
      title: `Go on with ${account.label}?`, accept: "Acknowledge", danger: true,
      text: `GitHub warned about this account: ${account.warning}. Find out why before anything is sent on it again.`,
    });
    if (sure !== null) await call("POST", `${path}/acknowledge`);
  });
  const proxy = run(async () => {
    const url = await ask({
      title: `Proxy of ${account.label}`, accept: "Save", field: "URL; empty for none", value: account.proxy ?? "",
      text: "http, https, socks5 or socks5h. A saved password is masked here: enter it again if you change the URL.",
    });
    if (url !== null && url !== (account.proxy ?? "")) await call("PUT", `${path}/proxy`, { proxy: url || null });
  });
  const remove = run(async () => {
    const sure = await ask({
      title: `Remove ${account.label}?`, accept: "Remove", danger: true,
      text: "Its token is deleted here. GitHub keeps the authorisation until you revoke it there.",
    });
    if (sure !== null) await call("DELETE", path);
  });
  const facts = [
    ["Login", account.githubLogin], ["Group", account.group], ["Type", account.accountType], ["Token", account.githubToken],
    ["Plan", view.quota.get(account.id)?.planLabel], ["Proxy", account.proxy],
    ["Last used", account.lastUsedAt && clock(account.lastUsedAt)], ["Under way", account.inFlight || null],
  ].filter(([, value]) => value);
  const resting = Object.entries(account.modelCooldowns ?? {}).map(([model, cooldown]) =>
    dim(`${model} rests until ${clock(cooldown.until)}: ${cooldown.reason}`));
  const until = account.cooldownUntil ? ` Until ${clock(account.cooldownUntil)}.` : "";
  const why = account.warning ?? account.statusMessage;
  return make("article", { class: "card" },
    make("div", { class: "head" }, make("h3", {}, account.label), statusPill(account)),
    why && make("p", { class: account.status === "banned" ? "cause bad" : "cause" }, `${why}${until}`),
    make("div", {}, quotaMeters(account), resting),
    make("dl", { class: "facts" }, facts.map(([name, value]) => [make("dt", {}, name), make("dd", {}, String(value))])),
    account.stored ? null : dim("Of this run only."),
    make("div", { class: "actions" },
      account.warning && button("Acknowledge", acknowledge, ""),
      account.status === "active" || account.warning ? null : button("Enable", status("active")),
      account.status === "disabled" ? null : button("Disable", status("disabled")),
      button("Refresh", refresh), button("Proxy", proxy), button("Remove", remove, "danger")));
}

function showAccounts() {
  const accounts = [...view.accounts.values()];
  fill("account-cards", accounts.map(accountCard));
  if (!accounts.length) fill("account-cards", dim("No account yet: add one below."));
  fill("account-names", accounts.map((account) => make("option", { value: account.label })));
  showAccountsInShort();
  showTiles();
}

async function loadAccounts() {
  const [accounts, quota] = await Promise.all([get("/api/accounts"), get("/api/quota")]);
  view.accounts = new Map(accounts.accounts.map((account) => [account.id, account]));
  view.quota = new Map(quota.accounts.map((account) => [account.id, account]));
  showAccounts();
}

async function addByToken() {
  const asked = {
    githubToken: at("token-token").value.trim(), label: at("token-label").value.trim(),
    accountType: at("token-type").value, proxy: at("token-proxy").value.trim() || null,
  };
  const reply = await call("POST", "/api/accounts", asked);
  at("add-token").reset();
  tell([`${reply.account.label} was added.`, reply.note].filter(Boolean).join(" "));
  await loadAccounts();
}

let flow = 0; // the newest; an older one that still waits gives up
async function addByDevice() {
  const mine = ++flow;
  const wanted = { label: at("device-label").value.trim(), account_type: at("device-type").value };
  fill("device-flow", dim("Asking GitHub …"));
  let code;
  try {
    code = await call("POST", "/api/accounts/auth/start", { proxy: at("device-proxy").value.trim() || null });
  } catch (error) {
    fill("device-flow");
    throw error;
  }
  const state = dim("Waiting for you …");
  const web = /^https?:\/\//.test(code.verification_uri);
  const where = web
    ? make("a", { href: code.verification_uri, target: "_blank", rel: "noopener noreferrer" }, code.verification_uri)
    : code.verification_uri;
  const copy = button("Copy", () => navigator.clipboard?.writeText(code.user_code).then(() => tell("Copied."), () => {}));
  fill("device-flow", make("div", { class: "head" }, make("div", { class: "code" }, code.user_code), copy),
    make("p", {}, "Enter it at ", where), state);
  followFlow(mine, code, wanted, state).catch((error) => {
    state.textContent = error.message;
  });
}

async function followFlow(mine, code, wanted, state) {
  let interval = code.interval;
  while (mine === flow) {
    await new Promise((resolve) => setTimeout(resolve, interval * 1000));
    if (mine !== flow) return;
    const reply = await call("POST", "/api/accounts/auth/poll", { device_code: code.device_code, ...wanted });
    if (reply.status === "complete") {
      fill("device-flow");
      at("add-device").reset();
      tell([`${reply.account.label} was added.`, reply.note].filter(Boolean).join(" "));
      await loadAccounts();
      return;
    }
    if (reply.status !== "pending") {
      fill("device-flow", make("p", { class: "notice bad" }, `${reply.status}: ${reply.message ?? ""}`));
      return;
    }
    interval = reply.interval ?? interval;
    state.textContent = reply.message ?? "Waiting for you …";
  }
}

// ---- models

function showModels(models) {
  at("model-count").textContent = String(models.length);
  fill("model-names", models.map((model) => make("option", { value: model.id })));
  const multiplied = models.some((model) => isNumber(model.billing?.multiplier));
  fill("model-list", table(models, [
    ["Model", (model) => model.id, "name"],
    ["Name", (model) => model.name],
    ["Vendor", (model) => model.vendor],
    ["Context", (model) => tokens(model.capabilities?.limits?.max_context_window_tokens || null), "number"],
    ["Output", (model) => tokens(model.capabilities?.limits?.max_output_tokens || null), "number"],
    ...(multiplied ? [["Multiplier", (model) => number(model.billing?.multiplier), "number"]] : []),
    ["Accounts", (model) => (model.accounts ?? []).join(", "), "long"],
    ["", (model) => model.unavailable ? pill(String(model.unavailable), "warn") : pill("available", "good")],
  ], "No model is offered."));
}

/** An editor of pairs: rows with a name and a value. */
function pairs(kind, path, { list, type, from, read }) {
  const rows = at(`${kind}-rows`);
  const add = (name = "", value = "") => {
    const row = make("div", { class: "pair" });
    const remove = button("Delete", () => row.remove(), "danger");
    row.append(
      make("input", { value: name, "aria-label": from, placeholder: from, list: kind === "concurrency" ? "model-names" : null }), "→",
      make("input", { value: String(value), "aria-label": "value", type, list, min: type === "number" ? 1 : null }), remove);
    rows.append(row);
  };
  const show = (value) => {
    rows.replaceChildren();
    Object.entries(value[kind]).forEach(([name, each]) => add(name, each));
    if (!rows.children.length) add();
  };
  const save = async () => {
    const value = {};
    for (const row of rows.children) {
      const [name, each] = [...row.querySelectorAll("input")].map((input) => input.value.trim());
      if (name) value[name] = read(each);
    }
    show(await call("PUT", path, { [kind]: value }));
    tell("Saved; it holds from the next request on.");
  };
  at(`${kind}-add`).addEventListener("click", () => add());
  onSubmit(kind, save);
  return async () => show(await get(path));
}

const loadMapping = pairs("mapping", "/api/models/mapping",
  { list: "model-names", type: "text", from: "opus, or gpt-*", read: (value) => value });
const loadConcurrency = pairs("concurrency", "/api/models/concurrency",
  { list: null, type: "number", from: "model, or default", read: Number });

async function loadModels() {
  await Promise.all([
    get("/api/models/available").then(showModels, (error) => fill("model-list", dim(error.message))),
    loadMapping(), loadConcurrency(),
  ]);
}

// ---- usage

function bars(rows, name) {
  const most = Math.max(1, ...rows.map((row) => row.totalTokens));
  if (!rows.length) return [dim("Nothing in this range.")];
  return rows.map((row) => meter(row[name] || "–",
    `${number(row.requestCount)} requests · ${tokens(row.totalTokens)} tokens · ${number(row.credits)} cr`, row.totalTokens / most));
}

function timeline(points) {
  if (!points.length) return [dim("Nothing in this range.")];
  const most = Math.max(1, ...points.map((point) => point.totalTokens));
  const columns = points.map((point) => {
    const said = `${point.bucket} UTC: ${number(point.requestCount)} requests, ${tokens(point.totalTokens)} tokens, ${number(point.credits)} credits`;
    const column = make("div", { title: said });
    column.style.height = `${Math.max(2, (point.totalTokens / most) * 100)}%`;
    return column;
  });
  const ends = make("div", { class: "chart-ends dim" },
    make("span", {}, points[0].bucket), make("span", {}, `most: ${tokens(most)} tokens`), make("span", {}, points.at(-1).bucket));
  return [make("div", { class: "chart", role: "img", "aria-label": "Tokens over time" }, columns), ends];
}

async function loadUsage() {
  const query = new URLSearchParams({ range: at("usage-range").value });
  for (const name of ["model", "account", "status"]) {
    const value = at(`usage-${name}`).value.trim();
    if (value) query.set(name, value);
  }
  const [{ summary }, { events }, { storage }] = await Promise.all([
    get(`/api/metrics/summary?${query}`), get(`/api/metrics/recent?${query}`), get("/api/metrics/storage"),
  ]);
  const { totals } = summary;
  fill("usage-tiles",
    tile(number(totals.requestCount), "requests"), tile(number(totals.errorCount), "failed"),
    tile(tokens(totals.inputTokens), "tokens in"), tile(tokens(totals.outputTokens), "tokens out"),
    tile(tokens(totals.cacheReadInputTokens), "read from cache"), tile(number(totals.credits), "credits"),
    tile(duration(totals.averageTtftMs), "to the first token, on average"), tile(duration(totals.averageDurationMs), "a request, on average"));
  fill("usage-timeline", timeline(summary.timeline));
  fill("usage-models", bars(summary.byModel, "model"));
  fill("usage-accounts", bars(summary.byAccount, "accountLabel"));
  fill("usage-recent", table(events.map((event) => ({
    ...event, timestamp: event.startedAt, method: "POST", path: event.endpoint, model: event.requestedModel,
  })), REQUEST_COLUMNS, "Nothing in this range."));
  at("usage-storage").textContent =
    `${number(storage.rows)} requests since ${clock(storage.oldestAt)}; ${bytes(storage.sizeBytes)} of ${bytes(storage.maxBytes)}.`;
}

// ---- requests

function showRequests() {
  at("requests-inspecting").textContent = view.inspecting
    ? "inspect_bodies is on: headers and the beginnings of bodies are kept, in memory only."
    : "Numbers and names only; inspect_bodies in the settings keeps headers and the beginnings of bodies, too.";
  const open = new Set([...at("request-list").querySelectorAll("details[open]")].map((each) => each.dataset.id));
  const contents = ["", (row) => {
    if (row.headers === null && row.bodyPreview === null) return "";
    const text = `${JSON.stringify(row.headers, null, 2)}\n\n${row.bodyPreview ?? ""}`;
    const shown = make("details", { open: open.has(row.id) }, make("summary", {}, "contents"), make("pre", {}, text));
    shown.dataset.id = row.id;
    return shown;
  }];
  const columns = view.inspecting ? [...REQUEST_COLUMNS, contents] : REQUEST_COLUMNS;
  fill("request-list", table(view.recent, columns, "None since the server was started."));
}

async function loadRequests() {
  const reply = await get("/api/requests");
  view.recent = reply.requests;
  view.inspecting = reply.inspecting;
  showRecent();
}

// ---- logs

let logs = null;
let logRetry = 0;

function logState(text, kind) {
  at("log-state").textContent = text;
  at("log-state").className = `pill ${kind}`;
}

function followLogs() {
  closeLogs();
  logState("connecting", "warn");
  logs = new EventSource("/api/logs/stream?history=true");
  logs.onopen = () => {
    at("log-lines").replaceChildren(); // the history comes again
    logState("live", "good");
  };
  logs.onmessage = (event) => addLine(JSON.parse(event.data));
  logs.onerror = () => {
    closeLogs();
    logState("lost: trying again", "warn");
    logRetry = setTimeout(() => get("/api/stats").then(followLogs, (error) => error.askedForKey || followLogs()), 3000);
  };
}

function closeLogs() {
  clearTimeout(logRetry);
  logs?.close();
  logs = null;
  logState("closed", "");
}

function isWanted(line) {
  const level = at("log-level").value;
  const words = at("log-search").value.toLowerCase();
  return (!level || line.dataset.level === level) && (!words || line.textContent.toLowerCase().includes(words));
}

function addLine(entry) {
  const list = at("log-lines");
  const follows = list.scrollHeight - list.scrollTop - list.clientHeight < 40;
  const known = ["DEBUG", "INFO", "SUCCESS", "WARN", "ERROR"].includes(entry.level);
  const line = make("div", { class: `line ${known ? entry.level : ""}` },
    make("time", {}, entry.timestamp), make("b", {}, entry.level), entry.message);
  line.dataset.level = entry.level;
  line.hidden = !isWanted(line);
  list.append(line);
  while (list.children.length > MAX_LINES) list.firstChild.remove();
  at("log-count").textContent = `${list.children.length} lines`;
  if (follows) list.scrollTop = list.scrollHeight;
}

function filterLogs() {
  for (const line of at("log-lines").children) line.hidden = !isWanted(line);
  at("log-lines").scrollTop = at("log-lines").scrollHeight;
}

// ---- settings

let settings = {};

async function loadSettings() {
  const reply = await get("/api/config");
  settings = reply.config;
  at("settings-text").value = JSON.stringify(settings, null, 2);
  fill("settings-reply", saidOfSettings({ restart: reply.restart, overruled: reply.overruled }));
}

function saidOfSettings({ applied = [], restart = [], overruled = [] }) {
  const names = (list) => list.join(", ");
  return [
    applied.length && make("p", { class: "notice" }, `In force: ${names(applied)}`),
    restart.length && make("p", { class: "cause" }, `Waits for a restart: ${names(restart)}`),
    overruled.length && make("p", { class: "cause" }, `A flag says otherwise: ${names(overruled)}`),
  ];
}

async function saveSettings() {
  let wanted;
  try {
    wanted = JSON.parse(at("settings-text").value);
  } catch (error) {
    throw new Failed(400, `This is no JSON: ${error.message}`);
  }
  if (wanted === null || typeof wanted !== "object" || Array.isArray(wanted)) throw new Failed(400, "The settings must be an object.");
  const changed = changes(settings, wanted, true);
  if (!Object.keys(changed).length) return tell("Nothing has changed.");
  const reply = await call("PUT", "/api/config", changed);
  await loadSettings();
  fill("settings-reply", saidOfSettings(reply));
  return tell("Saved.");
}

/** What differs; null for what is gone, that is, its default. */
function changes(before, after, deep) {
  const found = {};
  for (const name of new Set([...Object.keys(before), ...Object.keys(after)])) {
    if (!(name in after)) found[name] = null;
    else if (JSON.stringify(before[name]) !== JSON.stringify(after[name])) found[name] = after[name];
  }
  for (const name of deep ? ["identity", "timeouts", "accounts", "proxy"] : []) { // these are merged member by member
    if (found[name] && before[name]) found[name] = changes(before[name], found[name], false);
  }
  return found;
}

// ---- live

let socket = null;
let patience = 1000;

function connection(text, kind) {
  at("connection").textContent = text;
  at("connection").className = `pill ${kind}`;
}

function connectLive() {
  socket = new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/api/live`);
  socket.onopen = () => {
    patience = 1000;
    connection("live", "good");
  };
  socket.onmessage = (event) => hear(JSON.parse(event.data));
  socket.onclose = () => {
    socket = null;
    if (!at("login").hidden) return;
    connection("not connected", "bad");
    setTimeout(() => get("/api/stats").then(connectLive, (error) => error.askedForKey || connectLive()), patience);
    patience = Math.min(patience * 2, 30000);
  };
}

function hear(message) {
  if (message.type === "snapshot") {
    view.accounts = new Map(message.accounts.map((account) => [account.id, account]));
    view.running = new Map(message.requests.map((request) => [request.id, request]));
    view.queues = message.queues;
    showAccounts();
    showRunning();
    showQueues();
    soon("overview", loadOverview);
  } else if (message.type === "request_begun") {
    view.running.set(message.request.id, message.request);
    showRunning();
  } else if (message.type === "request_ended") {
    view.running.delete(message.request.id);
    view.recent = [{ headers: null, bodyPreview: null, ...message.request }, ...view.recent].slice(0, MAX_ROWS);
    showRunning();
    showRecent();
    soon("overview", loadOverview);
  } else if (message.type === "account") {
    soon("accounts", loadAccounts); // also those that came or went
  } else if (message.type === "queues") {
    view.queues = message.queues;
    showQueues();
  }
}

// ---- pages and sessions

const LOADERS = {
  overview: loadOverview, accounts: loadAccounts, models: loadModels, usage: loadUsage, requests: loadRequests,
  logs: async () => followLogs(), settings: loadSettings,
};

function openTab() {
  const wanted = location.hash.slice(1);
  const tab = Object.hasOwn(LOADERS, wanted) ? wanted : "overview";
  if (!at("login").hidden) return;
  if (view.tab === "logs" && tab !== "logs") closeLogs();
  view.tab = tab;
  for (const name of Object.keys(LOADERS)) at(name).hidden = name !== tab;
  for (const link of at("tabs").children) {
    if (link.hash !== `#${tab}`) {
      link.removeAttribute("aria-current");
      continue;
    }
    link.setAttribute("aria-current", "page");
    link.scrollIntoView({ block: "nearest", inline: "center" }); // on a phone not all of them fit
  }
  attempt(LOADERS[tab]);
}

function askForKey() {
  if (!at("login").hidden) return;
  for (const name of Object.keys(LOADERS)) at(name).hidden = true;
  at("login").hidden = false;
  at("tabs").hidden = true;
  at("log-out").hidden = true;
  closeLogs();
  socket?.close();
  connection("logged out", "");
  for (const name of ["account-cards", "request-list", "log-lines", "overview-requests"]) fill(name);
  at("settings-text").value = "";
  at("login-key").focus();
}

async function logIn() {
  await call("POST", "/dashboard/session", { key: at("login-key").value });
  at("login-key").value = "";
  at("login").hidden = true;
  at("tabs").hidden = false;
  await begin();
}

async function begin() {
  const reply = await get("/api/config").catch((error) => {
    if (error.askedForKey) throw error;
    return {};
  });
  at("log-out").hidden = reply.apiKey !== null;
  if (!socket) connectLive();
  openTab();
}

onSubmit("login-form", logIn);
onSubmit("add-token", addByToken);
onSubmit("add-device", addByDevice);
onSubmit("usage-filters", loadUsage);
onSubmit("settings-form", saveSettings);
at("usage-range").addEventListener("change", () => attempt(loadUsage));
at("settings-load").addEventListener("click", (event) => attempt(loadSettings, event.currentTarget));
at("requests-forget").addEventListener("click", (event) => attempt(async () => {
  await call("DELETE", "/api/requests");
  await loadRequests();
}, event.currentTarget));
at("log-out").addEventListener("click", () => attempt(async () => {
  await call("DELETE", "/dashboard/session");
  askForKey();
}));
at("log-level").addEventListener("change", filterLogs);
at("log-search").addEventListener("input", filterLogs);
at("dialog-cancel").addEventListener("click", () => at("dialog").close());
at("dialog-form").addEventListener("submit", (event) => {
  event.preventDefault();
  at("dialog").close("accepted");
});
addEventListener("hashchange", openTab);
setInterval(() => view.running.size && showRunning(), 1000);
setInterval(() => {
  if (document.hidden || !at("login").hidden) return;
  if (view.tab === "overview") soon("overview", loadOverview);
  if (view.tab === "accounts") soon("accounts", loadAccounts); // what is left changes without an event
}, 30000);
begin().catch((error) => error.askedForKey || tell(error.message, "bad"));
