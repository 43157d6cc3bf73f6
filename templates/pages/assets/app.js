// Owns what pages do beyond being read: they stay fresh, say how old they are, and show the reader's time.
// Refuses to be needed: without it every page is complete, and every button works.
"use strict";
(() => {
  const $ = (id) => document.getElementById(id);
  const { base, path, events } = document.body.dataset;
  const age = $("age");
  let said = document.body.dataset.say;
  let fresh = Date.now();
  let connected = false;
  let asked = false;

  // A page that answers a form has the form's address: reading it again must not press the button again.
  if (path && location.pathname !== path) history.replaceState(null, "", path);

  const local = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });
  const dated = new Intl.DateTimeFormat(undefined, { year: "numeric", month: "short", day: "numeric", hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
  const times = (root) => {
    for (const time of root.querySelectorAll("time[datetime]")) {
      const at = new Date(time.dateTime);
      if (isNaN(at) || time.dataset.local) continue;
      time.dataset.local = "yes";
      time.title = time.dateTime.replace("T", " ").replace("Z", " UTC");
      const sameDay = at.toDateString() === new Date().toDateString();
      time.textContent = sameDay || time.closest(".lines") ? local.format(at) : dated.format(at);
    }
  };

  // Only changes of state are announced; numbers that tick are not.
  const announce = (body) => {
    if (body.dataset.say === said) return;
    said = body.dataset.say;
    $(body.dataset.alarm === "true" ? "alarm" : "status").textContent = said;
  };

  // A region that the reader writes into, or has opened, is left alone until they are done.
  const busy = (region) => {
    const active = document.activeElement;
    const writing = region.contains(active) && /^(INPUT|TEXTAREA)$/.test(active.tagName);
    return writing || region.querySelector("details[open]") !== null;
  };

  const swap = (next) => {
    for (const region of document.querySelectorAll("[data-live]")) {
      const other = next.getElementById(region.id);
      if (!other) { region.replaceChildren(); continue; }
      times(other);
      if (other.innerHTML === region.innerHTML && other.className === region.className) continue;
      if (busy(region)) continue;
      const key = region.contains(document.activeElement) ? document.activeElement.dataset.key : null;
      region.className = other.className;
      region.replaceChildren(...other.childNodes);
      if (key) region.querySelector(`[data-key="${key}"]`)?.focus();
    }
    // A region that is new on the page means that its shape changed: read it whole, unless somebody is writing.
    const missing = [...next.querySelectorAll("[data-live]")].some((region) => !$(region.id));
    if (missing && !busy(document.body)) location.reload();
  };

  const read = async () => {
    if (asked) return;
    asked = true;
    try {
      const answer = await fetch(path, { headers: { accept: "text/html" }, cache: "no-store" });
      if (answer.redirected || answer.status === 401) { location.reload(); return; }
      if (!answer.ok) return;
      const next = new DOMParser().parseFromString(await answer.text(), "text/html");
      swap(next);
      document.title = next.title;
      const icon = next.getElementById("icon");
      if (icon && $("icon").href !== icon.href) $("icon").href = icon.href;
      document.body.dataset.refresh = next.body.dataset.refresh;
      announce(next.body);
      fresh = Date.now();
    } catch { /* The age says that nothing came. */ } finally { asked = false; }
  };

  const tick = () => {
    const every = Number(document.body.dataset.refresh);
    const seconds = Math.round((Date.now() - fresh) / 1000);
    const stale = !connected && seconds > Math.max(10, 2 * every);
    document.body.classList.toggle("stale", stale);
    age.classList.toggle("live", !stale);
    age.textContent = stale ? `stale, ${seconds}s` : "live";
    if (every > 0 && seconds >= every && !document.hidden) read();
  };

  const follow = () => {
    let waiting = null;
    const stream = new EventSource(events);
    const changed = () => { waiting ??= setTimeout(() => { waiting = null; read(); }, 100); };
    stream.onopen = () => { connected = true; changed(); };
    stream.onerror = () => { connected = false; };
    stream.onmessage = changed;
    stream.addEventListener("changed", changed);
  };

  const chat = (feed) => {
    const form = $("say");
    const text = $("text");
    // A line is named by the server's start and its number: after a restart the numbers begin anew.
    let [start, last] = new URL(feed.dataset.feed, location).searchParams.get("after").split(".");
    const atEnd = () => feed.scrollHeight - feed.scrollTop - feed.clientHeight < 80;
    const toEnd = () => { feed.scrollTop = feed.scrollHeight; };
    const add = (line) => {
      const follow = atEnd();
      feed.querySelector(".hello")?.remove();
      const item = $("line").content.firstElementChild.cloneNode(true);
      const plain = (word) => /^[a-z-]+$/.test(word) ? word : "quiet";
      item.classList.add(`k-${plain(line.kind)}`, plain(line.loudness));
      item.querySelector(".by").textContent = line.by;
      const link = item.querySelector("a");
      if (line.rollout) { link.textContent = line.rollout; link.href = `${base}/r/${encodeURIComponent(line.rollout)}`; } else link.remove();
      const time = item.querySelector("time");
      time.dateTime = line.at.replace(/\.\d+/, "");
      times(item);
      const cut = line.text.indexOf("\n");
      item.querySelector(".first").textContent = cut < 0 ? line.text : line.text.slice(0, cut);
      item.querySelector(".rest").textContent = cut < 0 ? "" : line.text.slice(cut);
      feed.append(item);
      while (feed.childElementCount > 300) feed.firstElementChild.remove();
      if (line.loudness === "pages") $("alarm").textContent = line.text;
      if (follow) toEnd();
    };
    const stream = new EventSource(feed.dataset.feed);
    stream.onopen = () => { connected = true; fresh = Date.now(); };
    stream.onerror = () => { connected = false; };
    stream.onmessage = (event) => {
      fresh = Date.now();
      const [begun, number] = event.lastEventId.split(".");
      if (begun !== start) { start = begun; last = 0; feed.replaceChildren(); }
      if (Number(number) <= Number(last)) return;
      last = number;
      add(JSON.parse(event.data));
    };
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      const words = text.value.trim();
      if (!words) return;
      const button = form.querySelector("button");
      button.disabled = true;
      try {
        const answer = await fetch(form.action, { method: "POST", body: new URLSearchParams(new FormData(form)), headers: { accept: "text/html" } });
        const page = new DOMParser().parseFromString(await answer.text(), "text/html");
        const banner = page.querySelector("#answer > *");
        $("answer").replaceChildren(...(banner ? [banner] : []));
        if (answer.ok) text.value = "";
        else if (!banner) $("answer").textContent = `It was not said (${answer.status}). Try again.`;
      } catch { $("answer").textContent = "The server did not answer. Nothing was said, as far as this page knows."; }
      button.disabled = false;
      text.focus();
    });
    toEnd();
  };

  // Keys bring the reader to a button; they never press it.
  const keys = (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || /^(INPUT|TEXTAREA)$/.test(event.target.tagName)) return;
    document.querySelector(`[data-key="${CSS.escape(event.key)}"]`)?.focus();
  };

  const theme = () => {
    const button = $("theme");
    const root = document.documentElement;
    const dark = () => root.dataset.theme === "dark" || (root.dataset.theme !== "light" && matchMedia("(prefers-color-scheme: dark)").matches);
    const label = () => { button.textContent = dark() ? "Light" : "Dark"; };
    button.hidden = false;
    label();
    button.addEventListener("click", () => {
      root.dataset.theme = dark() ? "light" : "dark";
      document.cookie = `theme=${root.dataset.theme}; path=/; max-age=31536000; samesite=strict`;
      label();
    });
  };

  times(document);
  theme();
  document.addEventListener("keydown", keys);
  const feed = $("feed");
  if (feed) chat(feed);
  if (events) follow();
  if (feed || events) { tick(); setInterval(tick, 1000); }
})();
