/**
 * How things are: `Status` of the server.
 *
 * @typedef {{ at: number, streams: number, frames: number, event_age: number | null, pool: number, queue: number }} Sample
 * @typedef {object} Instance
 * @property {string} name
 * @property {string} version
 * @property {string} ops_address
 * @property {string} started_at
 * @property {"live" | "not live" | "draining" | "vanished"} state
 * @property {number} streams
 * @property {number | null} event_age
 * @property {number} seen_seconds_ago
 * @property {boolean} is_this
 * @typedef {object} Status
 * @property {string} version
 * @property {number} uptime_seconds
 * @property {boolean} stopping
 * @property {boolean} live
 * @property {string} listener
 * @property {string[]} faults
 * @property {{ open: number, sales_reps: number, pharmacists: number, users: number, sessions: number,
 *   most: { user: number, streams: number }[] }} streams
 * @property {{ median: number | null, p99: number | null }} event_age
 * @property {number} canary_seconds_ago
 * @property {number} queue_usage
 * @property {{ limit: number, open: number, lent: number, waiting: number }} pool
 * @property {Record<string, number>} behind
 * @property {string} instance
 * @property {Instance[]} instances
 * @property {{ compared: number, differences: number }} audit
 * @property {{ at: string, level: string, text: string }[]} errors
 * @property {Sample[]} history
 */

/** A page that has heard nothing for so long says so, in milliseconds. */
const PATIENCE = 8_000;

/** After how long the stream is opened again that was refused, in milliseconds. */
const REOPENED = 3_000;

/** The status of the answer of another instance than the one that is meant, and how often it is asked for that one. */
const ANOTHER = 409;
const MOST_TRIES = 10;

/** How far apart samples are, in seconds, and how many make an hour. */
const APART = 10;
const HOUR = 3_600;

/** So many samples are of the last minutes. */
const RECENT = 18;

/** What a plot says before the first sample. */
const SOON = "The first number comes within 10 s.";

const SVG = "http://www.w3.org/2000/svg";

/** @param {string} id */
function part(id) {
  const found = document.getElementById(id);
  if (!found) throw new Error(`the page has no ${id}`);
  return found;
}

/**
 * @template {keyof HTMLElementTagNameMap} K
 * @param {K} name
 * @param {string} [text]
 */
function element(name, text = "") {
  const made = document.createElement(name);
  made.textContent = text;
  return made;
}

/** @param {number | null} seconds */
function duration(seconds) {
  if (seconds === null) return "none yet";
  if (seconds === 0) return "0 s";
  if (seconds < 1) return `${Math.round(seconds * 1_000)} ms`;
  if (seconds < 10) return `${Math.round(seconds * 10) / 10} s`;
  if (seconds < 120) return `${Math.round(seconds)} s`;
  if (seconds < 7_200) return `${Math.round(seconds / 60)} min`;
  return seconds < 172_800 ? `${Math.round(seconds / 3_600)} h` : `${Math.round(seconds / 86_400)} days`;
}

/** @param {number} share */
const percent = (share) => `${(100 * share).toFixed(share > 0 && share < 0.01 ? 2 : 0)} %`;

/** What somebody should look at, each in a sentence. @param {Status} status */
function reasons({ stopping, listener, faults, canary_seconds_ago, queue_usage, pool, behind, audit, history }) {
  const late = history.slice(-RECENT).map(({ event_age }) => event_age ?? 0);
  /** @type {[boolean, string][]} */
  const possible = [
    [stopping, "This instance is stopping: its streams end, and pages go to another one."],
    [listener !== "live", `Changes are not heard at once, and pages poll: ${listener}.`],
    ...faults.map((fault) => /** @type {[boolean, string]} */ ([true, `Changes may go unrecorded, and no page is live: ${fault}.`])),
    [listener === "live" && canary_seconds_ago >= 15, `The canary was back ${duration(canary_seconds_ago)} ago; it should be every 5 s.`],
    [queue_usage >= 0.25, `The notification queue of the database is ${percent(queue_usage)} full: a session listens and stays in a transaction.`],
    [pool.waiting > 0, `${pool.waiting} wait for a connection of the pool, of which ${pool.lent} of ${pool.limit} are lent.`],
    [Math.max(...late, 0) > 2, `Some changes of the last minutes were ${duration(Math.max(...late, 0))} old when they were told.`],
    [audit.differences > 0, `Audits found ${audit.differences} differences since the start: the log names them.`],
    ...Object.entries(behind).map(([step, age]) => /** @type {[boolean, string]} */ ([age >= 900, `The step ${step} of the background work is ${duration(age)} behind.`])),
  ];
  return possible.filter(([is]) => is).map(([, words]) => words);
}

/** @param {Status} status */
function tiles({ streams, event_age, canary_seconds_ago, listener, queue_usage, pool, behind, faults, audit }) {
  /** @type {[string, string, boolean][]} what, how much, and whether that is well */
  const tiles = [
    ["Open streams", String(streams.open), true],
    ["Of sales reps", String(streams.sales_reps), true],
    ["Of pharmacists", String(streams.pharmacists), true],
    ["Users, sessions", `${streams.users}, ${streams.sessions}`, true],
    ["Event age since the start, median", event_age.median === null ? "none yet" : `≤ ${duration(event_age.median)}`, true],
    ["Event age since the start, p99", event_age.p99 === null ? "none yet" : `≤ ${duration(event_age.p99)}`, (event_age.p99 ?? 0) <= 2],
    ["Canary was back", canary_seconds_ago > 1e8 ? "never" : `${duration(canary_seconds_ago)} ago`, canary_seconds_ago < 15],
    ["Listener", listener === "live" ? "live" : "not live", listener === "live"],
    ["Changes recorded", faults.length === 0 ? "all" : "not all", faults.length === 0],
    ["Notification queue", percent(queue_usage), queue_usage < 0.25],
    ["Pool in use", `${pool.lent} of ${pool.limit}`, pool.waiting === 0],
    ["Wait for the pool", String(pool.waiting), pool.waiting === 0],
    ["States audited, differences", `${audit.compared}, ${audit.differences}`, audit.differences === 0],
    ...Object.entries(behind).map(([step, age]) => /** @type {[string, string, boolean]} */ ([`Step ${step} is behind`, duration(age), age < 900])),
  ];
  return tiles.map(([what, much, isWell]) => {
    const tile = element("div");
    const value = element("dd", much);
    if (!isWell) value.dataset["state"] = "bad";
    tile.append(element("dt", what), value);
    return tile;
  });
}

/** The next of 1, 2, 5, 10 and so on. @param {number} most */
function round(most) {
  const step = 10 ** Math.floor(Math.log10(most));
  return [1, 2, 5, 10].map((times) => times * step).find((top) => top >= most) ?? most;
}

/**
 * @param {string} line
 * @param {string} kind
 */
function path(line, kind) {
  const made = document.createElementNS(SVG, "path");
  made.setAttribute("d", line);
  made.setAttribute("class", kind);
  return made;
}

/**
 * @param {string[]} words
 * @param {string} kind
 */
function scale(words, kind) {
  const made = element("p");
  made.className = kind;
  made.setAttribute("aria-hidden", "true");
  made.append(...words.map((word) => element("span", word)));
  return made;
}

/**
 * One line over the last hour; where nothing is known it has a gap. What is a share is drawn as one of the whole.
 * @param {string} what
 * @param {Sample[]} samples
 * @param {(sample: Sample) => number | null} value
 * @param {(value: number) => string} written
 * @param {string} none what it says where nothing is known
 * @param {number} [whole]
 */
function plot(what, samples, value, written, none, whole = 0) {
  const last = samples.at(-1)?.at ?? 0;
  const values = samples.map(value);
  const known = values.filter((value) => value !== null);
  const most = Math.max(...known, 0);
  const top = whole > 0 ? whole : round(most > 0 ? most : 1);
  let line = "";
  let pen = "M";
  samples.forEach((sample, place) => {
    const height = values[place] ?? null;
    if (height === null) {
      pen = "M";
      return;
    }
    const [x, y] = [HOUR - (last - sample.at), 100 - (height / top) * 100];
    // a lone one is a dash
    line += pen === "M" ? `M${x - APART} ${y.toFixed(1)}L${x} ${y.toFixed(1)}` : `L${x} ${y.toFixed(1)}`;
    pen = "L";
  });
  const picture = document.createElementNS(SVG, "svg");
  picture.setAttribute("viewBox", `0 0 ${HOUR} 100`);
  picture.setAttribute("preserveAspectRatio", "none");
  picture.setAttribute("role", "img");
  picture.append(path(`M0 50H${HOUR}M${HOUR / 2} 0V100`, "grid"), path(line, "line"));
  const figure = element("figure");
  const caption = element("figcaption");
  const latest = known.at(-1);
  const now = latest === undefined ? "" : `${written(latest)}, at most ${written(most)}`;
  picture.setAttribute("aria-label", `${what}: ${latest === undefined ? none : now}`);
  caption.append(element("span", what), element("span", now));
  const area = element("div");
  area.append(scale([written(top), written(top / 2), written(0)], "heights"), picture);
  if (latest === undefined) area.append(element("p", none));
  figure.append(caption, area, scale(["1 h ago", "30 min", "now"], "times"));
  return figure;
}

/**
 * @param {string} url
 * @param {string} body
 */
async function post(url, body) {
  try {
    const headers = { "content-type": "text/plain", "oncare-live-instance": instance };
    let answer = await fetch(url, { method: "POST", body, headers });
    // a balancer may have led it to another one
    for (let tries = 1; answer.status === ANOTHER && tries < MOST_TRIES; tries += 1) answer = await fetch(url, { method: "POST", body, headers });
    part("answer").textContent = `${answer.status} ${await answer.text()}`;
  } catch (error) {
    part("answer").textContent = `no answer: ${error}`;
  }
}

/** @param {Status} status */
function users({ streams }) {
  part("nobody").hidden = streams.most.length > 0;
  part("table").hidden = streams.most.length === 0;
  return streams.most.map(({ user, streams }) => {
    const row = element("tr");
    const button = element("button", "End streams");
    button.type = "button";
    button.setAttribute("aria-label", `End the streams of user ${user}`);
    button.addEventListener("click", () => void post("streams/end", String(user)));
    const does = element("td");
    does.append(button);
    row.append(element("td", String(user)), element("td", String(streams)), does);
    return row;
  });
}

/** @param {Status} status */
function instances({ instances }) {
  return instances.map(({ name, version, ops_address, started_at, state, streams, event_age, seen_seconds_ago, is_this }) => {
    const item = element("li");
    const title = element("p");
    const word = element("span", state);
    word.dataset["state"] = state === "live" ? "good" : "bad";
    title.append(element("strong", name), word);
    const since = `${started_at.slice(0, 16).replace("T", " ")} UTC`;
    const told = [
      `version ${version} since ${since}`,
      `${streams} stream${streams === 1 ? "" : "s"}`,
      `event age, p99 of the last minute: ${event_age === null ? "no change" : `≤ ${duration(event_age)}`}`,
      is_this ? "this one" : `seen ${duration(Math.round(seen_seconds_ago))} ago, ops at ${ops_address}`,
    ];
    item.append(title, element("p", told.join(" · ")));
    return item;
  });
}

/** @param {Status} status */
function lines({ errors }) {
  part("flawless").hidden = errors.length > 0;
  return errors.map(({ at, level, text }) => {
    const line = element("li");
    const time = element("time", `${at.slice(0, 19).replace("T", " ")} `);
    time.dateTime = at;
    const word = element("strong", `${level} `);
    if (level === "ERROR") word.dataset["state"] = "bad";
    line.append(time, word, text);
    return line;
  });
}

/** What the page showed last, by the part: nobody's finger or focus is on something that is replaced by its equal. */
const shown = new Map();

/**
 * @param {string} id
 * @param {unknown} state what the part follows from
 * @param {() => Element[]} make
 */
function show(id, state, make) {
  const text = JSON.stringify(state);
  if (shown.get(id) === text) return;
  shown.set(id, text);
  part(id).replaceChildren(...make());
}

/**
 * @param {string} words
 * @param {"good" | "bad"} state
 */
function judge(words, state) {
  part("verdict").textContent = words;
  part("verdict").dataset["state"] = state;
}

/** @type {ReturnType<typeof setTimeout> | undefined} */
let silence;
/** Which instance is shown. */
let instance = "";

/** @param {Status} status */
function render(status) {
  clearTimeout(silence);
  silence = setTimeout(() => judge("no answer: what is below is old", "bad"), PATIENCE);
  if (status.stopping) judge("stopping", "bad");
  else if (status.live) judge("live", "good");
  else judge("not live", "bad");
  instance = status.instance;
  part("build").textContent = `version ${status.version}, up ${duration(status.uptime_seconds)}`;
  const { streams, history, errors, faults } = status;
  const wrong = reasons(status);
  part("amiss").hidden = wrong.length === 0;
  show("reasons", wrong, () => wrong.map((reason) => element("li", reason)));
  show("tiles", [status.listener, streams, status.event_age, Math.round(status.canary_seconds_ago), status.pool, status.behind, status.audit, faults],
    () => tiles(status));
  // of others it is told in steps of seconds how long ago they were seen
  const seen = status.instances.map((one) => ({ ...one, seen_seconds_ago: Math.round(one.seen_seconds_ago) }));
  show("instances", seen, () => instances(status));
  show("plots", history, () => [
    plot("Open streams", history, ({ streams }) => streams, (streams) => String(Math.round(streams * 10) / 10), SOON),
    plot("Changes written a second", history, ({ frames }) => frames, (frames) => String(Math.round(frames * 10) / 10), SOON),
    plot("Event age, p99", history, ({ event_age }) => event_age, duration, "No change was told in this hour."),
    plot("Pool in use", history, ({ pool }) => pool, percent, SOON, 1),
    plot("Notification queue", history, ({ queue }) => queue, percent, SOON, 1),
  ]);
  show("most", streams.most, () => users(status));
  show("lines", errors, () => lines(status));
}

async function examine() {
  const button = /** @type {HTMLButtonElement} */ (part("examine"));
  button.disabled = true;
  try {
    const answer = await fetch("findings.json");
    /** @type {{ subject: string, verdict: string, text: string }[]} */
    const findings = await answer.json();
    part("findings").replaceChildren(...findings.map(({ subject, verdict, text }) => {
      const found = element("li");
      const word = element("strong", `${verdict} `);
      word.dataset["state"] = verdict === "ok" ? "good" : "bad";
      found.append(word, text === "" ? subject : `${subject}: ${text}`);
      return found;
    }));
  } catch (error) {
    part("findings").replaceChildren(element("li", `no answer: ${error}`));
  }
  button.disabled = false;
}

// the ops listener has no orders
part("orders").hidden = location.pathname === "/";
part("examine").addEventListener("click", () => void examine());
part("drain").addEventListener("click", () => {
  if (confirm("End all streams of this instance and stop it?")) void post("drain", "");
});

/** A browser opens a stream again by itself, but for one that was refused: as by a proxy while nobody is behind it. */
function listen() {
  const source = new EventSource("events");
  source.addEventListener("status", (event) => render(JSON.parse(event.data)));
  source.addEventListener("error", () => {
    if (source.readyState === EventSource.CLOSED) setTimeout(listen, REOPENED);
  });
}

listen();
