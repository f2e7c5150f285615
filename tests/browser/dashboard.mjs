// What people do with the dashboard, step by step, on a fresh server. Each check ends with a line `ok …`.
import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { createServer } from "node:http";
import { Browser, ENTER, TAB, eventually } from "./driver.mjs";

const [link, key, axe, pictures] = process.argv.slice(2);
const base = new URL(link).origin;
const PASSWORD = "correct horse battery";
const EVIL = `<script>window.hit=1</script><img src=x onerror="window.hit=1">"'><svg onload=window.hit=1>`;

// Answers as `status` says, with what a stranger could put into a header and a body.
const receiver = { status: 200, came: 0 };
const server = createServer((request, response) => {
  request.resume().on("end", () => {
    receiver.came += 1;
    if (request.url.startsWith("/down")) {
      response.writeHead(503, { "content-type": "application/json" });
      return response.end('{"error": "The warehouse is closed for maintenance"}');
    }
    response.writeHead(receiver.status, { "x-evil": "<script>window.hit=1</script>", "content-type": "text/html" });
    response.end(EVIL);
  });
});
await new Promise((done) => server.listen(0, "127.0.0.1", done));
const hooks = `http://127.0.0.1:${server.address().port}`;

async function api(method, path, body) {
  const headers = { authorization: `Bearer ${key}`, "content-type": "application/json" };
  const answer = await fetch(base + path, { method, headers, body: body && JSON.stringify(body) });
  const text = await answer.text();
  assert.ok(answer.ok, `${method} ${path}: ${answer.status} ${text}`);
  return text && JSON.parse(text);
}

const browser = await Browser.start();
const go = (path) => browser.open(base + path);
const path = async () => { const url = new URL(await browser.url()); return url.pathname + url.search; };
const ok = (what) => console.log(`ok ${what}`);

const accessible = (name) => browser.accessible(axe, name);
const harmless = (name) => browser.harmless(name);

try {
  // First run to first delivered message.
  await go("/dashboard/messages?type=x");
  assert.match(await path(), /^\/dashboard\/sign-in\?next=/);
  await accessible("sign-in");
  await browser.picture(pictures, "sign-in");
  await browser.open(link);
  await browser.picture(pictures, "enter");
  await browser.click("button.primary", "Sign in");
  await browser.sees("Set a password");
  await browser.fill("input[name=password]", PASSWORD);
  await browser.click("button.primary", "Set the password");
  await browser.sees("Your password is set");
  await go("/dashboard");
  await browser.sees("Send your first message");
  await browser.picture(pictures, "overview-empty");
  await browser.click("main a.button", "Create an application");
  await browser.fill("#new input[name=name]", "Acme");
  await browser.click("#new button.primary");
  await browser.click("a.button.primary", "Add an endpoint");
  await browser.fill("input[name=url]", `${hooks}/first`);
  await browser.fill("input[name=retry]", "[]");
  await browser.click("button.primary", "Add the endpoint");
  await browser.sees("Created.");
  const acme = (await path()).split("/")[3];
  await go(`/dashboard/applications/${acme}`);
  await api("POST", "/api/v1/event-type", { name: "order.placed", description: "An order was placed" });
  await browser.fill("main input[name=type]", "order.placed");
  await browser.click("button.primary", "Send");
  await browser.one("#payload");
  await eventually("delivered", async () => {
    await browser.run("location.reload()");
    return (await browser.text()).includes("delivered");
  });
  assert.equal(receiver.came, 1);
  ok("first run to first delivered message");

  // A link to the customer's portal, which stands beside the dashboard and ends without it.
  await go(`/dashboard/applications/${acme}`);
  await browser.click("#portal button", "Create a link");
  await browser.sees("Link to the portal");
  await browser.picture(pictures, "portal-link");
  const portal = await browser.text("#portal-link");
  assert.match(portal, /\/portal\?app=app_\w+#key=prp_/);
  await browser.open(portal);
  await browser.sees("Endpoints");
  await browser.click("footer button", "End this link");
  await browser.sees("This link has ended");
  await go("/dashboard");
  await browser.sees("Overview");
  ok("a link to the portal");

  // Signing out and in, and what is refused.
  await browser.click("header button.link", "Sign out");
  await browser.sees("You are signed out");
  await browser.fill("input[name=login]", "Admin");
  await browser.fill("input[name=password]", "wrong password");
  await browser.click("button.primary");
  await browser.sees("The name or the password is wrong");
  await browser.fill("input[name=password]", PASSWORD);
  await browser.click("button.primary");
  await browser.sees("Overview");
  const status = (script) => browser.later(`const done = arguments[arguments.length - 1]; ${script}.then((a) => done(a.status))`);
  assert.equal(await status("fetch('/dashboard/applications', {method: 'POST', body: new URLSearchParams({name: 'x'})})"), 403);
  const used = await fetch(link);
  assert.equal(used.status, 410, "the link works once");
  const foreign = await fetch(`${base}/dashboard/sign-in`, { method: "POST", headers: { origin: "https://evil.example" }, body: "login=a" });
  assert.equal(foreign.status, 403);
  const policy = (await fetch(`${base}/dashboard/sign-in`)).headers.get("content-security-policy");
  assert.ok(policy.includes("default-src 'none'") && !policy.includes("unsafe"));
  ok("signing out and in; forms from elsewhere are refused");

  // The failing endpoint: found, fixed and replayed.
  receiver.status = 503;
  const sent = await api("POST", `/api/v1/app/${acme}/msg`, { eventType: "order.placed", payload: { n: 1 } });
  await eventually("an issue", async () => {
    await go("/dashboard");
    return (await browser.text()).includes("answered 503");
  });
  await go("/dashboard/issues");
  await accessible("issues");
  await browser.click("button", "Acknowledge");
  await browser.sees("No such issues");
  await go("/dashboard/issues?state=acknowledged");
  await browser.sees("acknowledged by admin");
  const audited = (await api("GET", "/api/v1/audit?user=admin&limit=250")).data;
  assert.ok(audited.every((entry) => entry.actor === "user" && entry.user.login === "admin" && entry.key === null));
  for (const what of ["session created", "session deleted", "user updated", "application created", "endpoint created", "issue updated"]) {
    assert.ok(audited.some((entry) => `${entry.what} ${entry.action}` === what), `${what}: ${JSON.stringify(audited)}`);
  }
  await browser.click("a.button", "Newest failure");
  await browser.sees("The receiver answered 503");
  receiver.status = 200;
  await go("/dashboard/issues?state=acknowledged");
  await browser.click("a.button", "Fixed? Replay");
  await browser.click("#recover button.primary");
  await browser.sees("queued again");
  await eventually("the replay", async () => {
    await go(`/dashboard/applications/${acme}/messages/${sent.id}`);
    const text = await browser.text();
    return text.includes("Attempt 2") && text.includes("delivered");
  });
  ok("the failing endpoint found, fixed and replayed");

  // Markup of strangers is text everywhere.
  const evil = await api("POST", "/api/v1/app", { name: EVIL, uid: "evil" });
  const target = await api("POST", `/api/v1/app/${evil.id}/endpoint`, {
    url: `${hooks}/x?a="'><script>window.hit=1</script>`, description: EVIL, metadata: { a: EVIL }, headers: { "X-A": EVIL },
  });
  const marked = await api("POST", `/api/v1/app/${evil.id}/msg`, {
    eventType: "order.placed", eventId: "evil.1", payload: { [EVIL]: EVIL }, tags: ["<b>tag"], channels: ["ch"],
  }).catch(() => api("POST", `/api/v1/app/${evil.id}/msg`, { eventType: "order.placed", payload: { [EVIL]: EVIL } }));
  const strangeKey = await api("POST", "/api/v1/key", { name: EVIL });
  const source = await api("POST", "/api/v1/source", { name: EVIL, provider: "github", secret: "s3cr3ts3cr3t" });
  await fetch(source.url, { method: "POST", headers: { "x-github-event": "<script>window.hit=1</script>", "x-hub-signature-256": "sha256=00" }, body: EVIL });
  const alert = await api("POST", "/api/v1/alert", { name: EVIL.replaceAll(/[\n\r]/g, " ").slice(0, 100), condition: { type: "failing" }, emails: ["ann@example.com"] });
  receiver.status = 503;
  await api("POST", `/api/v1/app/${evil.id}/msg`, { eventType: "order.placed", payload: {} });
  await eventually("the alert holds", async () => (await api("GET", `/api/v1/alert/${alert.id}`)).holding > 0);
  await eventually("a notice", async () => (await api("GET", `/api/v1/alert/${alert.id}/notice`)).data.length);
  receiver.status = 200;
  const made = (await eventually("a rejection", async () => {
    const { data } = await api("GET", `/api/v1/source/${source.id}/rejection`);
    return data.length && data;
  }))[0];
  await eventually("its attempt", async () => (await api("GET", `/api/v1/app/${evil.id}/attempt/endpoint/${target.id}`)).data.length);
  const one = `/dashboard/applications/${evil.id}`;
  const strange = {
    overview: "/dashboard", issues: "/dashboard/issues?state=all", messages: "/dashboard/messages", applications: "/dashboard/applications",
    "application-evil": one, "endpoint-evil": `${one}/endpoints/${target.id}`, "endpoint-edit-evil": `${one}/endpoints/${target.id}/edit`,
    "message-evil": `${one}/messages/${marked.id}`, sources: "/dashboard/sources", "source-evil": `/dashboard/sources/${source.id}`,
    "rejection-evil": `/dashboard/sources/${source.id}/rejections/${made.id}`, keys: "/dashboard/keys", audit: "/dashboard/audit",
    alerts: "/dashboard/alerts", "alert-evil": `/dashboard/alerts/${alert.id}`,
    search: `/dashboard/messages?tag=${encodeURIComponent(EVIL)}&type=${encodeURIComponent(EVIL)}&note=${encodeURIComponent(EVIL)}`,
  };
  for (const width of [1280, 360]) {
    await browser.size(width, 900);
    for (const [name, page] of Object.entries(strange)) {
      await go(page);
      await browser.one("h1");
      await harmless(name);
      const wide = await browser.run("return document.documentElement.scrollWidth");
      assert.ok(wide <= width, `${name} is ${wide} wide`);
      await accessible(`${name}, of strangers`);
      if (name.endsWith("evil")) await browser.picture(pictures, width === 360 ? `${name}-narrow` : name);
    }
  }
  await browser.size(1280, 900);
  for (const path of [`app/${evil.id}`, `source/${source.id}`, `alert/${alert.id}`, `key/${strangeKey.id}`]) await api("DELETE", `/api/v1/${path}`);
  ok("markup of strangers is text");

  // What an operator has: a catalogue, a source with an event and a rejection, an alert that holds.
  for (const [name, groupName, description, example] of [
    ["invoice.paid", "Billing", "An invoice was paid in full", { id: "in_77", amount: 12900 }],
    ["invoice.overdue", "Billing", "An invoice was not paid in time", { id: "in_78", days: 14 }],
  ]) {
    await api("POST", "/api/v1/event-type", { name, groupName, description, schemas: { 1: { type: "object", properties: { id: { type: "string" } }, examples: [example] } } });
  }
  const shop = await api("POST", "/api/v1/app", { name: "Northwind Traders", uid: "northwind" });
  const hub = await api("POST", "/api/v1/source", { name: "Shop repository", provider: "github", secret: "s3cr3ts3cr3t", appId: shop.id });
  const push = (body, signature) => fetch(hub.url, {
    method: "POST", body,
    headers: { "x-github-event": "push", "x-github-delivery": "72d3162e-cc78-11e3-81ab-4c9367dc0958", "x-hub-signature-256": `sha256=${signature}` },
  });
  const pushed = JSON.stringify({ ref: "refs/heads/main", commits: 3 });
  const signed = createHmac("sha256", "s3cr3ts3cr3t").update(pushed).digest("hex");
  assert.equal((await push(pushed, signed)).status, 200);
  await push(pushed, signed);
  await push(pushed, "00".repeat(32));
  const refused = (await eventually("a rejection", async () => {
    const { data } = await api("GET", `/api/v1/source/${hub.id}/rejection`);
    return data.length && data;
  }))[0];
  const down = await api("POST", `/api/v1/app/${shop.id}/endpoint`, { url: `${hooks}/down/warehouse`, description: "Warehouse" });
  const overdue = await api("POST", `/api/v1/app/${shop.id}/msg`, { eventType: "invoice.overdue", payload: { id: "in_78", days: 14 }, tags: ["eu"] });
  const watch = await api("POST", "/api/v1/alert", { name: "Endpoint fails", condition: { type: "failing" }, emails: ["ann@example.com"] });
  await eventually("the alert holds", async () => (await api("GET", `/api/v1/alert/${watch.id}`)).holding > 0);
  await eventually("a notice", async () => (await api("GET", `/api/v1/alert/${watch.id}/notice`)).data.length);
  const shopped = `/dashboard/applications/${shop.id}`;
  const pages = {
    overview: "/dashboard", issues: "/dashboard/issues?state=all", messages: "/dashboard/messages", applications: "/dashboard/applications",
    application: shopped, "endpoint-failing": `${shopped}/endpoints/${down.id}`, "endpoint-edit": `${shopped}/endpoints/${down.id}/edit`,
    message: `${shopped}/messages/${overdue.id}`, sources: "/dashboard/sources", source: `/dashboard/sources/${hub.id}`,
    rejection: `/dashboard/sources/${hub.id}/rejections/${refused.id}`, "event-types": "/dashboard/event-types",
    "event-type": "/dashboard/event-types/invoice.paid", keys: "/dashboard/keys", users: "/dashboard/users", audit: "/dashboard/audit", replays: "/dashboard/replays", settings: "/dashboard/settings",
    "settings-portal": "/dashboard/settings/portal", profile: "/dashboard/settings/profiles/standard", webhooks: "/dashboard/settings/integrations/webhooks",
    "webhook-new": "/dashboard/settings/integrations/webhooks/new", account: "/dashboard/account",
    alerts: "/dashboard/alerts", alert: `/dashboard/alerts/${watch.id}`, "alert-new": "/dashboard/alerts/new",
    endpoint: `/dashboard/applications/${acme}`, error: "/dashboard/none",
  };
  await go(pages["endpoint-failing"]);
  await browser.sees("failing");
  await go(`${pages.source}?reason=stale`);
  await browser.sees("Nothing was rejected");
  await go(pages.source);
  await browser.sees("Duplicates dropped");
  await browser.sees("72d3162e-cc78-11e3-81ab-4c9367dc0958");
  await browser.sees("Northwind Traders");

  // A pasted request is judged.
  await go(pages.source);
  await browser.fill("textarea[name=request]", "X-GitHub-Event: push\nX-Hub-Signature-256: sha256=00\n\n{}");
  await browser.click("#judge button.primary");
  await browser.sees("refused");
  await browser.sees("None of the usual mistakes explains it");
  await browser.sees("HMAC-SHA256");
  await browser.picture(pictures, "source-judged");
  await browser.fill("textarea[name=request]", `X-GitHub-Event: push\nX-Hub-Signature-256: sha256=${signed}\n\n${JSON.stringify(JSON.parse(pushed), null, 2)}`);
  await browser.click("#judge button.primary");
  await browser.sees("The body was changed on its way");
  await browser.picture(pictures, "source-judged-body");
  await accessible("a judged request");
  ok("why a signature fails");

  // Filters and paging, both ways, by URLs that can be shared.
  for (let n = 0; n < 60; n += 1) {
    await api("POST", `/api/v1/app/${acme}/msg`, { eventType: "order.placed", payload: { n, data: { who: n % 2 ? "ann" : "bob" } }, tags: [`t${n % 3}`] });
  }
  await go(`/dashboard/messages?app=${acme}&type=order.*`);
  const rows = () => browser.run("return [...document.querySelectorAll('tbody tr')].map((row) => row.id)");
  const newest = await rows();
  assert.equal(newest.length, 50);
  await browser.click("a[rel=next]");
  await eventually("the older page", async () => (await rows())[0] !== newest[0]);
  const older = await rows();
  assert.ok(older.length >= 12 && older.every((id) => id < newest[49]));
  const shared = await browser.url();
  await browser.click("a[rel=prev]");
  await eventually("the newer page", async () => (await rows()).join() === newest.join());
  await browser.open(shared);
  assert.deepEqual(await rows(), older);
  await go("/dashboard/messages");
  await browser.fill("input[name=field]", "data.who");
  await browser.fill("input[name=value]", "ann");
  await browser.fill("input[name=tag]", "t1");
  await browser.click("button.primary", "Search");
  await eventually("ten messages", async () => (await rows()).length === 10);
  assert.equal(new URL(await browser.url()).searchParams.toString(), "tag=t1&field=data.who&value=ann");
  await browser.click("button", "Replay all of this search");
  await browser.sees("10 deliveries of 10 messages");
  await browser.picture(pictures, "replay");
  await browser.click("button.primary", "Replay 10");
  await browser.sees("Queued.");
  ok("filters, paging, and replaying what was found");

  // A replay at a pace: counted, begun, watched and aborted.
  await go(`/dashboard/messages?app=${acme}&status=delivered&type=order.*`);
  await browser.click("main a.button", "Replay at a pace");
  await browser.sees("Preview");
  await browser.fill("input[name=rate]", "1");
  await browser.click("form button", "Count");
  await eventually("the count", async () => (await path()).includes("rate=1"));
  await browser.picture(pictures, "replay-new");
  pages["replay-new"] = await path();
  await browser.click("button.primary", "Replay");
  await browser.sees("The replay has begun");
  pages["replay-one"] = new URL(await browser.url()).pathname;
  await browser.sees("running");
  const queued = () => browser.run("return Number(document.querySelector('.figure dd').textContent)");
  const before = await queued();
  await eventually("progress, without a reload", async () => (await queued()) > before);
  await eventually("the button", async () => { await browser.click("button.danger", "Abort"); return true; });
  await browser.sees("Aborted.");
  await go("/dashboard/replays");
  await browser.sees("aborted");
  ok("a replay counted, begun, watched and aborted");

  // What waits: found, counted, cancelled by the many; and one message.
  const only = `/api/v1/app/${acme}/endpoint/${(await api("GET", `/api/v1/app/${acme}/endpoint?limit=1`)).data[0].id}`;
  await api("PATCH", only, { disabled: true });
  for (let n = 0; n < 3; n += 1) {
    await api("POST", `/api/v1/app/${acme}/msg`, { eventType: "order.placed", tags: ["unwanted"], payload: { n } });
  }
  const kept = await api("POST", `/api/v1/app/${acme}/msg`, { eventType: "order.placed", tags: ["one"], payload: { n: 9 } });
  await go(`/dashboard/messages?app=${acme}&status=held&tag=unwanted`);
  await eventually("three messages", async () => (await rows()).length === 3);
  await browser.click("main a.button", "Cancel what waits");
  await browser.sees("Preview");
  await browser.sees("3 deliveries of 3 messages");
  await browser.picture(pictures, "cancel");
  pages.cancel = await path();
  await browser.click("button.danger", "Cancel 3");
  await browser.sees("Cancelling has begun");
  await browser.sees("finished");
  await browser.sees("Deliveries cancelled");
  await go(`/dashboard/messages?app=${acme}&status=cancelled&tag=unwanted`);
  await eventually("all three", async () => (await rows()).length === 3);
  await go(`/dashboard/applications/${acme}/messages/${kept.id}`);
  await browser.click("button.small.danger");
  await browser.sees("what waited is not sent any more");
  await browser.sees("It was cancelled");
  await api("PATCH", only, { disabled: false });
  ok("what waits counted and cancelled, by the many and one");

  // The audit log: filters and paging, both ways, by URLs that can be shared.
  for (let n = 54; n >= 0; n -= 1) {
    await api("PATCH", "/api/v1/event-type/order.placed", { description: n ? `An order was placed (${n})` : "An order was placed" });
  }
  const entries = () => browser.run("return [...document.querySelectorAll('tbody tr')].map((row) => row.textContent)");
  await go("/dashboard/audit?what=event_type&action=updated");
  const latest = await entries();
  assert.equal(latest.length, 50);
  await browser.click("a[rel=next]");
  await eventually("the older ones", async () => (await entries()).length === 5);
  await browser.click("a[rel=prev]");
  await eventually("the newer ones", async () => (await entries()).join() === latest.join());
  await go("/dashboard/audit");
  await browser.fill("input[name=user]", "admin");
  await browser.click("button.primary", "Search");
  await eventually("only the admin's", async () => {
    const own = await entries();
    return own.length > 4 && own.every((text) => text.includes("admin"));
  });
  assert.equal(await path(), "/dashboard/audit?user=admin");
  ok("the audit log, filtered and paged");

  // The live tail: what comes in while somebody looks is there without a reload, and what the search does not want is not.
  await go("/dashboard/messages?tag=live");
  assert.deepEqual(await rows(), []);
  await browser.run("window.unloaded = false");
  await browser.click("[data-tail-switch]");
  await browser.sees("Watching");
  const late = [];
  for (const tags of [["live"], ["other"], ["live"]]) {
    late.push((await api("POST", `/api/v1/app/${acme}/msg`, { eventType: "order.placed", tags, payload: { late: true } })).id);
  }
  await eventually("the tail shows them", async () => (await rows()).join() === [late[2], late[0]].join());
  await eventually("how many", async () => / new$/.test(await browser.text("[data-tail-status]")));
  assert.equal(await browser.run("return window.unloaded"), false, "the page was not loaded again");
  assert.ok(!(await browser.text()).includes("Nothing found"));
  await browser.picture(pictures, "messages-tail");
  await browser.click("[data-tail-switch]", "Stop the tail");
  await go("/dashboard/messages");
  await browser.picture(pictures, "messages");
  ok("the live tail");

  // The filter editor with a trial, pausing and resuming.
  await go(`/dashboard/applications/${acme}`);
  await browser.click("td a", "first");
  const endpoint = await path();
  await browser.picture(pictures, "endpoint");
  await browser.click("a.button.primary", "Edit");
  await browser.fill("textarea[name=filter]", '{"n": {"gte": 5}}');
  await browser.fill("textarea[name=sample]", '{"n": 7}');
  await browser.sees("This payload passes");
  await browser.fill("textarea[name=sample]", '{"n": 3}');
  await browser.sees("does not pass");
  await browser.picture(pictures, "endpoint-edit-trial");
  await browser.click("button.primary", "Save");
  await browser.sees("Saved.");
  await browser.click("button", "Pause");
  await browser.sees("deliveries are held");
  const held = await api("POST", `/api/v1/app/${acme}/msg`, { eventType: "order.placed", payload: { n: 9 } });
  await go(`/dashboard/applications/${acme}/messages/${held.id}`);
  await browser.sees("held");
  await go(endpoint);
  await browser.sees("the endpoint is disabled", "#lane");
  await browser.sees("1, of them", "#lane");
  await browser.fill("#lane input[name=rate]", "7");
  await browser.click("#lane button", "Catch up");
  await browser.sees("Catching up at that pace");
  await browser.sees("attempts are made", "#lane");
  await eventually("what was held is delivered", async () => {
    await go(`/dashboard/applications/${acme}/messages/${held.id}`);
    return (await browser.text()).includes("delivered");
  });
  await go(endpoint);
  await browser.click("button", "Pause");
  await browser.sees("deliveries are held");
  await browser.click("button", "Resume");
  await browser.sees("Resumed");
  ok("a filter tried, an endpoint paused, resumed and caught up with at a pace");

  // Settings, Integrations, Webhooks: the document's six steps, then the logs.
  await go("/dashboard/settings");
  await browser.click(".tabs a", "Integrations");
  await browser.click("a.button.primary", "Add Webhook");
  await browser.fill("input[name=name]", "Purchase Notification");
  await browser.fill("input[name=url]", `${hooks}/ilara`);
  await browser.click("input[value='event.purchase_complete']");
  await browser.fill("input[name=secret]", "whsec_your_signing_secret");
  await browser.picture(pictures, "webhook-new");
  await browser.click("button.primary", "Test and save");
  await browser.sees("Delivery history");
  await eventually("the delivery history", async () => {
    await browser.run("location.reload()");
    const text = await browser.text();
    return text.includes("event.purchase_complete") && text.includes("100 %");
  });
  await browser.click(".attempt summary");
  await browser.sees("x-ilara-signature");
  await browser.picture(pictures, "webhook-logs");
  await harmless("logs");
  await accessible("logs");
  ok("webhooks as the document walks them");

  // The same webhook edited: what is written is there, and what is emptied is gone.
  const [{ id: hook }] = (await api("GET", "/v1/integrations/webhooks")).data;
  const hookPage = `/dashboard/settings/integrations/webhooks/${hook}`;
  const hookNow = () => api("GET", `/v1/integrations/webhooks/${hook}`);
  const documented = (await hookNow()).retry_policy;
  await go(hookPage);
  await browser.fill("input[name=name]", "Renamed");
  await browser.fill("textarea[name=headers]", "X-Team: shop\nAuthorization: Bearer abc");
  await browser.fill("input[name=max_retries]", "2");
  await browser.click("button[value=save]");
  await browser.sees("Saved.");
  let edited = await hookNow();
  assert.deepEqual([edited.name, edited.headers, edited.hidden_headers, edited.retry_policy.max_retries], ["Renamed", { "x-team": "shop" }, ["authorization"], 2]);
  await go(hookPage);
  await browser.fill("textarea[name=headers]", "");
  await browser.fill("input[name=max_retries]", "");
  await browser.click("button[value=save]");
  await browser.sees("Saved.");
  edited = await hookNow();
  assert.deepEqual([edited.headers, edited.hidden_headers, edited.retry_policy], [{}, ["authorization"], documented]);
  await go(hookPage);
  await browser.click("input[name=drop]");
  await browser.click("button[value=save]");
  await browser.sees("Saved.");
  assert.deepEqual((await hookNow()).hidden_headers, []);
  ok("a webhook edited");

  // Every page: accessible in light and dark, and no wider than a small screen.
  pages["webhook-logs"] = await path();
  pages.endpoint = endpoint;
  for (const theme of ["Light", "Dark"]) {
    await go("/dashboard");
    await browser.click("header button", theme);
    await eventually("the theme", () => browser.run(`return document.documentElement.dataset.theme === "${theme.toLowerCase()}"`));
    for (const [name, page] of Object.entries(pages)) {
      await go(page);
      await browser.one("h1");
      await accessible(`${name}, ${theme}`);
      await browser.picture(pictures, theme === "Dark" ? `${name}-dark` : name);
    }
  }
  await browser.size(360, 740);
  for (const [name, page] of Object.entries(pages)) {
    await go(page);
    await browser.one("h1");
    const wide = await browser.run("return document.documentElement.scrollWidth");
    assert.ok(wide <= 360, `${name} is ${wide} wide`);
    await accessible(`${name}, narrow`);
    await browser.picture(pictures, `${name}-narrow`);
  }
  await browser.size(1280, 900);
  ok("every page, light, dark and narrow");

  // By keyboard alone.
  await go("/dashboard/applications");
  await browser.keys(TAB, ENTER);
  assert.equal(await browser.run("return document.activeElement.id"), "main");
  const reach = async (script) => {
    for (let n = 0; n < 200; n += 1) {
      if (await browser.run(`return document.activeElement?.matches(${JSON.stringify(script)}) ?? false`)) return;
      await browser.keys(TAB);
    }
    throw new Error(`${script} is not reached by Tab`);
  };
  await reach("#new input[name=name]");
  await browser.keys(..."By keyboard", ENTER);
  await browser.sees("Created.");
  assert.equal(await browser.text("h1"), "By keyboard");
  ok("an application made by keyboard");

  // An alert: made, refused where it is wrong, changed, muted and deleted.
  await go("/dashboard/alerts");
  await browser.click("a.button.primary", "New alert");
  await browser.fill("input[name=name]", "Held too long");
  await browser.click("select[name=type] option[value=held]");
  await browser.fill("input[name=count]", "5");
  await browser.fill("textarea[name=emails]", "not an address");
  await browser.click("button.primary", "Create the alert");
  await browser.sees("This is not an e-mail address alone");
  await browser.fill("textarea[name=emails]", "ann@example.com");
  await browser.click("button.primary", "Create the alert");
  await browser.sees("Created.");
  await browser.sees("5 or more deliveries are held");
  await browser.sees("No mail server is configured");
  await browser.click("button", "Mute");
  await browser.sees("Muted.");
  await browser.fill("input[name=count]", "7");
  await browser.click("button.primary", "Save");
  await browser.sees("7 or more deliveries are held");
  await browser.click("button.danger", "Delete the alert");
  await browser.accept();
  await browser.sees("Deleted.");
  ok("an alert made, muted, changed and deleted");

  // More applications than a list of choices holds: found by a part of their names, and chosen.
  const many = [];
  for (let n = 10; n < 65; n += 1) many.push((await api("POST", "/api/v1/app", { name: `Customer number ${n}` })).id);
  const offered = (list) => browser.run(`return [...document.querySelector("#${list}").options].map((one) => one.textContent)`);
  const pick = async (field, list, part, name) => {
    await browser.fill(field, part);
    const value = await eventually(`${name} is offered`, () => browser.run(
      "return [...document.querySelector(arguments[0]).options].find((one) => one.textContent === arguments[1])?.value ?? null", `#${list}`, name));
    assert.ok((await offered(list)).every((text) => text.toLowerCase().includes(part.toLowerCase())), `${list} for ${part}`);
    await browser.fill(field, value);
    await eventually("its name is shown", async () => (await browser.text("main")).includes(name));
    return value;
  };
  const oldest = await api("POST", `/api/v1/app/${many[0]}/msg`, { eventType: "order.placed", payload: {} });
  await go("/dashboard/messages");
  assert.equal(await pick("input[name=app]", "apps", "NUMBER 10", "Customer number 10"), many[0]);
  await browser.picture(pictures, "messages-picked");
  await browser.click("button.primary", "Search");
  await eventually("its message", async () => (await rows()).join() === oldest.id);
  await api("POST", `/api/v1/app/${many[1]}/endpoint`, { url: `${hooks}/chosen` });
  await go("/dashboard/alerts/new");
  await browser.fill("input[name=name]", "Of one endpoint");
  assert.equal(await pick("input[name=app]", "apps", "number 11", "Customer number 11"), many[1]);
  const chosen = await pick("input[name=endpoint]", "endpoints", "chosen", `${hooks}/chosen`);
  await accessible("an alert with choices");
  await browser.picture(pictures, "alert-picked");
  await browser.click("button.primary", "Create the alert");
  await browser.sees("Created.");
  const { data: rules } = await api("GET", "/api/v1/alert");
  assert.deepEqual(rules.filter((rule) => rule.name === "Of one endpoint").map((rule) => [rule.appId, rule.endpointId]), [[many[1], chosen]]);
  for (const id of many) await api("DELETE", `/api/v1/app/${id}`);
  ok("chosen from more than fifty applications");

  // A viewer looks and changes nothing.
  await go("/dashboard/users");
  await browser.fill("input[name=login]", "vic@example.com");
  await browser.click("button.primary", "Add and make a link");
  const invited = await browser.text("#link");
  await browser.click("header button.link", "Sign out");
  await browser.sees("You are signed out");
  await browser.open(invited);
  await browser.click("button.primary", "Sign in");
  await browser.sees("Set a password");
  await go(endpoint);
  await browser.sees("Attempts");
  assert.equal((await browser.all("main form[method=post]")).length, 0);
  const token = await browser.run("return document.querySelector('input[name=form_token]').value");
  assert.equal(await status(`fetch('${endpoint}/pause', {method: 'POST', body: new URLSearchParams({form_token: '${token}', disabled: 'true'})})`), 403);
  assert.equal(await status("fetch('/dashboard/users')"), 403);
  const own = ["/dashboard/account/password", "/dashboard/account/revoke"];
  const edits = ["users", "endpoint-edit", "webhook-new", "alert-new", "replay-new", "cancel"];
  for (const [name, page] of Object.entries(pages)) {
    if (edits.includes(name)) {
      assert.equal(await status(`fetch(${JSON.stringify(page)})`), 403, name);
      continue;
    }
    await go(page);
    await browser.one("h1");
    const sent = await browser.run("return [...document.querySelectorAll('main form[method=post]')].map((form) => new URL(form.action).pathname)");
    assert.deepEqual(sent.filter((to) => !own.includes(to)), [], `a viewer's ${name}`);
    const links = await browser.run("return [...document.querySelectorAll('main a[href]')].map((link) => link.pathname)");
    assert.deepEqual(links.filter((to) => /\/(new|edit|cancel)$/.test(to)), [], `a viewer's ${name}`);
    await accessible(`a viewer's ${name}`);
    if (["application", "endpoint", "message", "settings-portal", "source", "replays"].includes(name)) await browser.picture(pictures, `viewer-${name}`);
  }
  ok("a viewer only looks");
} catch (error) {
  console.error(error, await browser.url().catch(() => ""));
  await browser.picture(pictures, "failed").catch(() => {});
  process.exitCode = 1;
} finally {
  await browser.stop();
  server.close();
}
