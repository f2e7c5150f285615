// Opens a portal link: takes the token out of the address before anything else, and exchanges it for a cookie.
const given = new URLSearchParams(location.hash.slice(1));
history.replaceState(null, "", location.pathname + location.search);

const show = (id) => {
  for (const part of document.querySelectorAll("[data-part]")) part.hidden = part.id !== id;
};

async function open() {
  const key = given.get("key");
  if (!key) return show(document.body.dataset.ended === "true" ? "ended" : "absent");
  const asked = new URLSearchParams({ key });
  if (given.has("theme")) asked.set("theme", given.get("theme"));
  const answer = await fetch("/portal/open", { method: "POST", body: asked, credentials: "same-origin" });
  if (answer.status === 401) return show("ended");
  if (!answer.ok) return show("failed");
  const { to } = await answer.json();
  const kept = await fetch(`${to}/session`, { credentials: "same-origin" });
  if (kept.ok) return location.replace(to);
  // The browser keeps no cookie for us here: on a page of our own it does.
  document.querySelector("#apart a").href = `/portal${location.search}#${given}`;
  show("apart");
}

open().catch(() => show("failed"));
