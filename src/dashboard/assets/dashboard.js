// What the browser adds to pages that work without it: times in the reader's zone, copying, questions before what cannot be
// undone, the live tail, and trying a filter while it is written. No framework, nothing from another host.

const zoned = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });

function times(root) {
  for (const time of root.querySelectorAll("time[datetime]")) {
    const at = new Date(time.dateTime);
    if (!Number.isNaN(at.getTime())) time.textContent = zoned.format(at);
  }
}

function copies(root) {
  for (const button of root.querySelectorAll("[data-copy]")) {
    button.hidden = false;
    button.addEventListener("click", async () => {
      const source = document.querySelector(button.dataset.copy);
      try {
        await navigator.clipboard.writeText(source.textContent);
        button.textContent = "Copied";
      } catch {
        getSelection().selectAllChildren(source);
        button.textContent = "Selected: press Ctrl+C";
      }
    });
  }
}

for (const form of document.querySelectorAll("form[data-confirm]")) {
  form.addEventListener("submit", (event) => {
    if (!confirm(form.elements.ask.value)) event.preventDefault();
  });
  // It is answered; where this does not run, the server asks.
  form.addEventListener("formdata", (event) => event.formData.delete("ask"));
}

for (const form of document.querySelectorAll("form[data-back]")) {
  form.elements.back.value = location.pathname + location.search;
}

for (const link of document.querySelectorAll("[data-go-back]")) {
  if (history.length < 2) continue;
  link.hidden = false;
  link.addEventListener("click", (event) => {
    event.preventDefault();
    history.back();
  });
}

// Fields of date and time are in the reader's zone here; what is sent is an exact instant.
for (const zone of document.querySelectorAll("[data-zone]")) zone.textContent = "(local time)";
for (const field of document.querySelectorAll("input[type=datetime-local]")) {
  const instant = field.dataset.instant;
  const at = new Date(instant || NaN);
  if (!Number.isNaN(at.getTime())) {
    field.value = new Date(at.getTime() - at.getTimezoneOffset() * 60000).toISOString().slice(0, 16);
  }
  field.form.addEventListener("formdata", (event) => {
    if (field.name && field.value) event.formData.set(field.name, new Date(field.value).toISOString());
  });
}
// Empty fields make no part of a URL that is shared.
for (const form of document.querySelectorAll("form[method=get]")) {
  form.addEventListener("formdata", (event) => {
    for (const [name, value] of [...event.formData]) if (value === "") event.formData.delete(name);
  });
}

// The live tail: asks for what is newer, and puts it on top.
const tail = document.querySelector("[data-tail]");
if (tail) {
  const EVERY_MS = 2000;
  const button = document.querySelector("[data-tail-switch]");
  const status = document.querySelector("[data-tail-status]");
  let on = false;
  let lost = false;
  const look = async () => {
    if (!on || document.hidden) return;
    try {
      const answer = await fetch(location.href, { headers: { "x-part": "1" }, credentials: "same-origin" });
      if (!answer.ok) throw new Error(String(answer.status));
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      const known = new Set([...tail.rows].map((row) => row.id));
      const rows = [...page.querySelector("[data-tail]").rows];
      const fresh = rows.filter((row) => row.id && !known.has(row.id)).length;
      for (const row of rows) {
        times(row);
        if (!known.has(row.id)) row.classList.add("fresh");
      }
      tail.replaceChildren(...rows);
      const empty = document.querySelector("[data-tail-empty]");
      if (empty) empty.hidden = rows.length > 0;
      if (fresh) status.textContent = `${fresh} new`;
      else if (lost && on) status.textContent = "Watching";
      lost = false;
    } catch (error) {
      lost = true;
      if (on) status.textContent = `No answer (${error.message}): trying again.`;
    }
  };
  button.hidden = false;
  button.addEventListener("click", () => {
    on = !on;
    button.setAttribute("aria-pressed", String(on));
    button.textContent = on ? "Stop the tail" : "Live tail";
    status.textContent = on ? "Watching" : "";
    look();
  });
  setInterval(look, EVERY_MS);
}

// What is under way is looked at again until it has ended.
const moving = document.querySelector("[data-refresh=true]");
if (moving) {
  const EVERY_MS = 2000;
  let current = moving;
  const timer = setInterval(async () => {
    if (document.hidden || current.contains(document.activeElement)) return;
    const answer = await fetch(location.href, { headers: { "x-part": "1" }, credentials: "same-origin" }).catch(() => null);
    const page = answer?.ok && new DOMParser().parseFromString(await answer.text(), "text/html");
    const fresh = page && page.querySelector("[data-refresh]");
    if (!fresh) return;
    const next = document.importNode(fresh, true);
    times(next);
    current.replaceWith(next);
    current = next;
    if (next.dataset.refresh !== "true") clearInterval(timer);
  }, EVERY_MS);
}

// Trying a filter: the same form, sent to where it is judged, and only its answer is put in.
for (const trial of document.querySelectorAll("[data-trial]")) {
  const PAUSE_MS = 350;
  const form = trial.closest("form");
  let timer = 0;
  const judge = async () => {
    const body = new URLSearchParams(new FormData(form));
    const answer = await fetch(trial.dataset.trial, { method: "POST", body, headers: { "x-part": "1" }, credentials: "same-origin" });
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const verdict = page.querySelector("[data-verdict]");
    if (verdict) trial.replaceChildren(...verdict.childNodes);
  };
  for (const field of form.querySelectorAll("[data-trial-input]")) {
    field.addEventListener("input", () => {
      clearTimeout(timer);
      timer = setTimeout(judge, PAUSE_MS);
    });
  }
}

// What is typed is looked for among all that can be chosen, and what was found is offered.
for (const field of document.querySelectorAll("[data-pick]")) {
  const PAUSE_MS = 200;
  const named = field.parentElement.querySelector("[data-picked-name]");
  let timer = 0;
  const look = async () => {
    const asked = new URLSearchParams({ q: field.value });
    if (field.dataset.pickOf) asked.set("app", field.form.elements[field.dataset.pickOf].value);
    const answer = await fetch(`${field.dataset.pick}?${asked}`, { headers: { "x-part": "1" }, credentials: "same-origin" }).catch(() => null);
    const page = answer?.ok && new DOMParser().parseFromString(await answer.text(), "text/html");
    const found = page && page.querySelector("[data-picked]");
    if (!found || asked.get("q") !== field.value) return;
    field.list.replaceChildren(...found.children);
    const one = [...field.list.options].find((option) => option.value === field.value);
    if (named) named.textContent = one ? one.textContent : "";
  };
  field.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(look, PAUSE_MS);
  });
  field.addEventListener("focus", look);
}

// Choosing an event type means that only those that are chosen come.
const picks = document.querySelector("[data-picks]");
if (picks) {
  const [all, some] = ["all", "some"].map((which) => picks.closest("form").querySelector(`[name=which][value=${which}]`));
  const follow = () => { picks.hidden = all.checked; };
  for (const choice of [all, some]) choice.addEventListener("change", follow);
  follow();
}

// A file goes as text in a field of the form: no form here has parts.
for (const input of document.querySelectorAll("input[type=file][data-into]")) {
  input.addEventListener("change", () => {
    const field = input.form.elements[input.dataset.into];
    field.value = "";
    if (!input.files[0]) return;
    const reader = new FileReader();
    reader.onload = () => { field.value = reader.result.slice(reader.result.indexOf(",") + 1); };
    reader.readAsDataURL(input.files[0]);
  });
}

// Fields that belong to another choice are out of the way.
for (const choice of document.querySelectorAll("[data-chooses]")) {
  const follow = () => {
    for (const part of choice.form.querySelectorAll("[data-when]")) part.hidden = !part.dataset.when.split(" ").includes(choice.value);
  };
  choice.addEventListener("change", follow);
  follow();
}

// What is wrong in a form is gone to; a frame does not do so by itself.
document.querySelector("[aria-invalid=true]")?.focus();

// What a link names is shown, also when it is folded away.
const named = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
if (named instanceof HTMLDetailsElement) {
  named.open = true;
  named.scrollIntoView();
}

// On a narrow screen the menu starts closed.
const menu = document.querySelector(".menu");
if (menu && matchMedia("(max-width: 800px)").matches) menu.open = false;

// Somebody who has chosen a page with a word of what was done wants a URL without it.
if (new URLSearchParams(location.search).has("note")) {
  const url = new URL(location.href);
  url.searchParams.delete("note");
  history.replaceState(null, "", url);
}

times(document);
copies(document);
