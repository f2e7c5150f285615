// What a customer does with the portal, in a frame of another site and out of it. Each check ends with a line `ok …`.
import assert from "node:assert/strict";
import { createServer } from "node:http";
import { Browser, ENTER, TAB, eventually } from "./driver.mjs";

const [base, around, key, axe, pictures] = process.argv.slice(2);
const EVIL = `<script>window.hit=1</script><img src=x onerror="window.hit=1">"'><svg onload=window.hit=1>`;

// Answers as `status` says, with what a stranger could put into a header and a body.
const receiver = { status: 200, came: 0, evil: false };
const server = createServer((request, response) => {
  request.resume().on("end", () => {
    receiver.came += 1;
    response.writeHead(receiver.status, receiver.evil ? { "x-evil": "<script>window.hit=1</script>", "content-type": "text/html" } : {});
    response.end(receiver.evil ? EVIL : '{"received": true}');
  });
});
await new Promise((done) => server.listen(0, "127.0.0.1", done));
const hooks = `http://127.0.0.1:${server.address().port}`;

async function api(method, path, body, token = key) {
  const headers = { authorization: `Bearer ${token}`, "content-type": "application/json" };
  const answer = await fetch(base + path, { method, headers, body: body && JSON.stringify(body) });
  const text = await answer.text();
  assert.ok(answer.ok, `${method} ${path}: ${answer.status} ${text}`);
  return text && JSON.parse(text);
}
const link = (app, options = {}) => api("POST", `/api/v1/auth/app-portal-access/${app}`, options);

const browser = await Browser.start();
const go = (path) => browser.open(base + path);
const ok = (what) => console.log(`ok ${what}`);
const path = async () => browser.run("return location.pathname + location.search");
const status = (script) => browser.later(`const done = arguments[arguments.length - 1]; ${script}.then((a) => done(a.status))`);

const accessible = (name) => browser.accessible(axe, name);
const harmless = (name) => browser.harmless(name);

// Opens a link within a page of another site, and goes into the frame.
async function framed(url, site = around) {
  await browser.leaveFrame();
  await browser.open("about:blank");
  await browser.open(`${site}/#${encodeURIComponent(url)}`);
  await browser.enterFrame("iframe");
}

try {
  for (const [name, group, description, example] of [
    ["order.placed", "Orders", "Somebody has placed an order", { id: "ord_1001", total: 4200, currency: "EUR", items: [{ sku: "A-1", count: 2 }] }],
    ["order.shipped", "Orders", "An order is on its way", { id: "ord_1001", carrier: "DHL", tracking: "JD0146" }],
    ["order.cancelled", "Orders", "An order was withdrawn before it was sent", { id: "ord_1001", reason: "customer" }],
    ["invoice.paid", "Billing", "An invoice was paid in full", { id: "in_77", amount: 12900, currency: "EUR" }],
    ["invoice.overdue", "Billing", "An invoice was not paid in time", { id: "in_78", days: 14 }],
    ["customer.created", "Customers", "A customer signed up", { id: "cus_5", email: "ann@example.com" }],
  ]) {
    const properties = Object.fromEntries(Object.entries(example).map(([field, value]) => [field, { type: Array.isArray(value) ? "array" : typeof value }]));
    await api("POST", "/api/v1/event-type", { name, groupName: group, description, schemas: { 1: { type: "object", properties, examples: [example] } } });
  }
  await api("POST", "/api/v1/event-type", { name: "secret.beta", description: "Only for some", featureFlags: ["beta"] });
  const acme = (await api("POST", "/api/v1/app", { name: "Acme Outdoor" })).id;
  const other = (await api("POST", "/api/v1/app", { name: "Somebody else" })).id;
  const home = `/portal/${acme}`;

  // A link opens in a frame on another site, and leaves no trace of its token.
  const first = await link(acme);
  assert.equal(first.url, `${base}/portal?app=${acme}#key=${first.token}`);
  await framed(first.url);
  await browser.sees("Get told when something happens");
  assert.equal(await browser.run("return location.origin"), base);
  assert.equal(await path(), home);
  const traces = await browser.run("return [location.href, document.referrer, document.documentElement.outerHTML, document.cookie].join()");
  assert.ok(!traces.includes(first.token));
  await browser.picture(pictures, "portal-framed-empty");
  await accessible("an empty portal in a frame");
  await harmless("an empty portal in a frame");
  ok("a link opens in a frame on another site");

  // An endpoint is made: what is wrong with a URL stands at its field.
  await browser.click("main a.button.primary", "Add an endpoint");
  await browser.fill("input[name=url]", "ftp://example.com/hooks");
  await browser.click("button.primary", "Add the endpoint");
  assert.ok((await browser.text("#url-fault")).length > 5);
  assert.equal(await browser.run("return document.querySelector('[aria-invalid=true]').id"), "url");
  await browser.picture(pictures, "portal-endpoint-refused");
  await accessible("a form with a fault");
  await browser.fill("input[name=url]", `${hooks}/webhooks`);
  await browser.fill("input[name=description]", "Shop backend");
  await browser.click("input[name=which][value=some]");
  await browser.click("button.primary", "Add the endpoint");
  await browser.sees("Choose at least one event type");
  await browser.click("input[name=which][value=some]");
  await browser.click("input[value='category:Orders']");
  await browser.click("input[value='invoice.paid']");
  await browser.click("details.fold > summary");
  await browser.fill("textarea[name=filter]", '{"total": {"gte": 5}}');
  await browser.fill("textarea[name=sample]", '{"total": 7}');
  await browser.sees("This payload passes");
  await browser.fill("textarea[name=filter]", "");
  await browser.fill("textarea[name=headers]", "X-Tenant: 42");
  await browser.picture(pictures, "portal-endpoint-new");
  await browser.click("button.primary", "Add the endpoint");
  await browser.sees("Created.");
  const endpoint = await path().then((at) => at.split("?")[0]);
  const id = endpoint.split("/").pop();
  const made = await api("GET", `/api/v1/app/${acme}/endpoint/${id}`);
  assert.deepEqual(made.eventTypes.sort(), ["category:Orders", "invoice.paid"]);
  ok("an endpoint made, with a fault at its field");

  // The first delivery, its attempt, a failure and its replay; all in the frame.
  await api("PATCH", `/api/v1/app/${acme}/endpoint/${id}`, { retryPolicy: [] });
  await api("POST", `/api/v1/app/${acme}/msg`, { eventType: "order.placed", payload: { id: "ord_1", total: 4200 } });
  await eventually("the first delivery", async () => {
    await browser.click("nav a", "Deliveries");
    await browser.one("form.filters");
    return (await browser.text()).includes("delivered");
  });
  await browser.click("tbody a", "order.placed");
  await browser.click("summary", "Attempt 1");
  await browser.sees("webhook-signature");
  await browser.sees("Receiver");
  receiver.status = 503;
  const failing = await api("POST", `/api/v1/app/${acme}/msg`, { eventType: "order.shipped", payload: { id: "ord_1" } });
  await eventually("the failure", async () => {
    await browser.click("nav a", "Deliveries");
    await browser.one("form.filters");
    return (await browser.text()).includes("failed");
  });
  await browser.click("tbody a", "order.shipped");
  await browser.sees("The receiver answered 503");
  await browser.picture(pictures, "portal-framed-message");
  receiver.status = 200;
  await browser.click("button.primary", "Replay where it failed");
  await browser.sees("Queued again");
  await eventually("the replay", async () => {
    await browser.run("location.reload()");
    const text = await browser.text();
    return text.includes("Attempt 2") && text.includes("delivered");
  });
  await harmless("a message in a frame");
  ok("the first delivery, its attempt, a failure and its replay, in the frame");

  // Nobody else may put it into a frame.
  const stranger = around.replace("localhost", "127.0.0.1");
  await browser.leaveFrame();
  await browser.open(`${stranger}/#${encodeURIComponent(first.url)}`);
  await eventually("the refusal", async () => (await browser.logs()).some((line) => /frame-ancestors|Framing/.test(line.message)));
  const policy = (await fetch(`${base}/portal`)).headers;
  assert.ok(policy.get("content-security-policy").includes(`frame-ancestors ${around}`) && !policy.get("content-security-policy").includes("unsafe"));
  assert.equal(policy.get("x-frame-options"), null);
  assert.equal((await fetch(`${base}/dashboard/sign-in`)).headers.get("x-frame-options"), "DENY");
  ok("no other site puts it into a frame");

  // On a page of its own: secret, rotation, test, pause, recover, what is missing.
  await browser.open(first.url);
  await browser.sees("Shop backend");
  await browser.click("td a", "webhooks");
  await browser.click("button", "Show the secret");
  await browser.sees("whsec_");
  const secret = await browser.text("#secret");
  assert.equal(secret, (await api("GET", `/api/v1/app/${acme}/endpoint/${id}/secret`)).key);
  await browser.picture(pictures, "portal-secret");
  await browser.click("summary", "Rotate it");
  await browser.click("button", "Create a new secret");
  await browser.sees("There is a new secret");
  assert.notEqual((await api("GET", `/api/v1/app/${acme}/endpoint/${id}/secret`)).key, secret);
  let before = receiver.came;
  await browser.click("button", "Send an example");
  await browser.sees("An example is on its way");
  await eventually("the example", () => receiver.came > before);
  await browser.click("button", "Pause");
  await browser.sees("Paused: deliveries are held");
  await browser.picture(pictures, "portal-paused");
  const waits = async (more) => (await api("POST", `/api/v1/app/${acme}/msg`, { eventType: "order.placed", payload: { id: more } })).id;
  for (const [css, text] of [["main .head button.danger", "Cancel what waits"], ["article button.danger", "Cancel"]]) {
    const unwanted = await waits(text);
    await go(`${home}/messages/${unwanted}`);
    await browser.sees("held");
    if (css.startsWith("article")) await browser.picture(pictures, "portal-waiting");
    await browser.click(css, text);
    if (css.startsWith("main")) await browser.accept();
    await browser.sees("what waited is not sent any more");
    await browser.sees("It was cancelled");
    assert.equal((await browser.all("main button.danger")).length, 0);
  }
  const wanted = await waits("kept");
  await go(`${home}/endpoints/${id}`);
  await browser.click("button", "Resume");
  await browser.sees("Resumed");
  await eventually("what was kept", async () => (await api("GET", `/api/v1/app/${acme}/attempt/msg/${wanted}`)).data.some((a) => a.status === 0));
  receiver.status = 500;
  const lost = await api("POST", `/api/v1/app/${acme}/msg`, { eventType: "order.cancelled", payload: { id: "ord_2" } });
  await eventually("it failed", async () => (await api("GET", `/api/v1/app/${acme}/attempt/msg/${lost.id}`)).data.length);
  receiver.status = 200;
  await browser.click("button.primary", "Replay what failed");
  await browser.sees("Failed deliveries are queued again");
  await eventually("it is recovered", async () => (await api("GET", `/api/v1/app/${acme}/attempt/msg/${lost.id}`)).data.some((a) => a.status === 0));
  const late = await api("POST", `/api/v1/app/${acme}/endpoint`, { url: `${hooks}/late`, eventTypes: ["order.placed"] });
  await go(`${home}/endpoints/${late.id}`);
  before = receiver.came;
  await browser.click("button", "Send what is missing");
  await browser.sees("The replay has begun");
  await eventually("what was missing", () => receiver.came > before);
  await browser.click("summary", "Delete this endpoint");
  await browser.click("button.danger", "Delete for good");
  await browser.sees("Deleted.");
  ok("secret, rotation, test, pause, recover, what is missing, delete");

  // An endpoint that fails says so in the list, before anything was given up.
  receiver.status = 503;
  const failed = await api("POST", `/api/v1/app/${acme}/endpoint`, { url: `${hooks}/orders`, description: "Order desk", eventTypes: ["invoice.overdue"] });
  await api("POST", `/api/v1/app/${acme}/msg`, { eventType: "invoice.overdue", payload: { id: "in_78" } });
  await eventually("a failing endpoint", async () => {
    await go(home);
    const text = await browser.text();
    return text.includes("failing") && text.includes("none delivered, 1 waiting");
  });
  receiver.status = 200;

  // Deliveries by state, type and time, paged both ways, by URLs that can be shared.
  receiver.status = 503;
  for (let n = 0; n < 4; n += 1) await api("POST", `/api/v1/app/${acme}/msg`, { eventType: "invoice.paid", payload: { n } });
  await eventually("four failures", async () => {
    await go(`${home}/deliveries?status=failed&type=invoice.*`);
    return (await browser.all("tbody tr")).length === 4;
  });
  receiver.status = 200;
  for (let n = 0; n < 40; n += 1) await api("POST", `/api/v1/app/${acme}/msg`, { eventType: n % 2 ? "order.placed" : "order.shipped", payload: { n } });
  const rows = () => browser.run("return [...document.querySelectorAll('tbody tr')].map((row) => row.id)");
  await go(`${home}/deliveries?type=order.*`);
  const newest = await rows();
  assert.equal(newest.length, 30);
  await browser.click("a[rel=next]");
  await eventually("the older page", async () => (await rows())[0] !== newest[0]);
  const older = await rows();
  const shared = await browser.url();
  await browser.click("a[rel=prev]");
  await eventually("the newer page", async () => (await rows()).join() === newest.join());
  await browser.open(shared);
  assert.deepEqual(await rows(), older);
  await go(`${home}/deliveries`);
  await browser.click("select[name=status] option[value=failed]");
  await browser.fill("input[name=type]", "invoice.paid");
  await browser.click("form.filters button.primary");
  await eventually("four rows", async () => (await rows()).length === 4);
  assert.equal(new URL(await browser.url()).search, "?status=failed&type=invoice.paid");
  await go(`${home}/deliveries?endpoint=${id}&until=2020-01-01T00:00:00Z`);
  await browser.sees("Nothing found");
  ok("deliveries, filtered and paged");

  // The catalogue and the snippets, with the endpoint's own header names.
  await go(`${home}/event-types`);
  const catalogue = await browser.text();
  assert.ok(catalogue.includes("invoice.overdue") && catalogue.includes("Billing") && !catalogue.includes("secret.beta"));
  await browser.fill("input[name=q]", "SHIPPED");
  await browser.click("form[role=search] button");
  await eventually("one event type", async () => (await browser.all("ul.types li")).length === 1);
  assert.equal(await path(), `${home}/event-types?q=SHIPPED`);
  await go(`${home}/event-types`);
  await browser.click("main a", "order.placed");
  await browser.sees("ord_1001");
  await browser.click("main a.button.primary", "Receive it");
  assert.equal(await browser.run("return document.querySelector(\"input[value='order.placed']\").checked"), true);
  for (const [word, sign] of [["javascript", "createHmac"], ["python", "compare_digest"], ["go", "hmac.New"], ["ruby", "OpenSSL"], ["php", "hash_equals"], ["java", "MessageDigest"]]) {
    await go(`${endpoint}/verify?language=${word}`);
    const code = await browser.text("#code");
    assert.ok(code.includes(sign) && code.includes("webhook-signature"), `${word}: ${code}`);
  }
  await api("PATCH", `/api/v1/app/${acme}/endpoint/${id}`, { profile: "github-like" });
  await go(`${endpoint}/verify?language=python`);
  assert.ok((await browser.text("#code")).includes("x-hub-signature-256"));
  await api("PATCH", `/api/v1/app/${acme}/endpoint/${id}`, { profile: null });
  ok("the catalogue and snippets in six languages");

  // Markup of strangers is text everywhere, also in a frame.
  receiver.evil = true;
  const evil = (await api("POST", "/api/v1/app", { name: EVIL })).id;
  const target = await api("POST", `/api/v1/app/${evil}/endpoint`, {
    url: `${hooks}/x?a="'><script>window.hit=1</script>`, description: EVIL, headers: { "X-A": EVIL }, eventTypes: ["order.placed"],
  });
  const marked = await api("POST", `/api/v1/app/${evil}/msg`, { eventType: "order.placed", payload: { [EVIL]: EVIL } });
  await api("PUT", "/api/v1/event-type/evil.one", { description: EVIL, groupName: "Evil", schemas: { 1: { title: EVIL, examples: [{ [EVIL]: EVIL }] } } });
  await eventually("its attempt", async () => (await api("GET", `/api/v1/app/${evil}/attempt/endpoint/${target.id}`)).data.length);
  await framed((await link(evil)).url);
  const bad = `/portal/${evil}`;
  for (const page of [bad, `${bad}/endpoints/${target.id}`, `${bad}/endpoints/${target.id}/edit`, `${bad}/endpoints/${target.id}/verify`, `${bad}/deliveries`,
    `${bad}/messages/${marked.id}`, `${bad}/event-types`, `${bad}/event-types/evil.one`, `${bad}/endpoints/new`,
    `${bad}/deliveries?type=${encodeURIComponent(EVIL)}&note=${encodeURIComponent(EVIL)}&endpoint=`, `${bad}/endpoints/new?url=${encodeURIComponent(EVIL)}&types=${encodeURIComponent(EVIL)}`]) {
    await browser.run("location.assign(arguments[0])", page);
    await eventually(page, async () => (await path()).split("?")[0] === page.split("?")[0]);
    await browser.one("h1");
    await harmless(page);
  }
  await browser.run("location.assign(arguments[0])", `${bad}/messages/${marked.id}`);
  await browser.sees("order.placed");
  await browser.picture(pictures, "portal-evil");
  await browser.leaveFrame();
  await api("DELETE", `/api/v1/app/${evil}`);
  await api("DELETE", "/api/v1/event-type/evil.one");
  receiver.evil = false;
  ok("markup of strangers is text");

  // One application's link shows nothing of another.
  const foreign = await api("POST", `/api/v1/app/${other}/endpoint`, { url: `${hooks}/foreign` });
  const theirs = await api("POST", `/api/v1/app/${other}/msg`, { eventType: "order.placed", payload: { theirs: true } });
  await go(home);
  await browser.sees("Shop backend");
  for (const page of [`endpoints/${foreign.id}`, `endpoints/${foreign.id}/edit`, `endpoints/${foreign.id}/verify`, `messages/${theirs.id}`, "event-types/secret.beta", "none"]) {
    assert.equal(await status(`fetch('${home}/${page}')`), 404, page);
  }
  assert.equal((await browser.run("return document.body.textContent")).includes("foreign"), false);
  const token = await browser.run("return document.querySelector('input[name=form_token]').value");
  const post = (to, more = "") => status(`fetch('${home}/${to}', {method: 'POST', body: new URLSearchParams('form_token=${token}${more}')})`);
  assert.equal(await post(`endpoints/${foreign.id}/pause`, "&disabled=true"), 404);
  assert.equal(await post(`endpoints/${foreign.id}/secret`), 404);
  assert.equal(await post(`endpoints/${foreign.id}/delete`), 404);
  assert.equal(await post(`messages/${theirs.id}/resend`, `&endpoint=${foreign.id}`), 404);
  assert.equal(await status(`fetch('${home}/endpoints/${id}/pause', {method: 'POST', body: new URLSearchParams('disabled=true')})`), 403, "a form of nobody's");
  assert.equal(await status(`fetch('/portal/${other}')`), 401, "the cookie is for one application");
  const forged = (at) => fetch(base + at, { headers: { cookie: `postrider_portal_framed=${first.token}` } });
  assert.equal((await forged(home)).status, 200);
  assert.equal((await forged(`/portal/${other}`)).status, 404);
  assert.equal((await fetch(`${base}${home}`, { headers: { cookie: `postrider_portal_framed=${key}` } })).status, 401, "a key is no link");
  const far = await fetch(`${base}/portal/open`, { method: "POST", headers: { origin: "https://evil.example" }, body: `key=${first.token}` });
  assert.equal(far.status, 403);
  ok("nothing of another application");

  // Every page: accessible in light and dark, and no wider than a small screen.
  const pages = {
    "portal-endpoints": home, "portal-endpoint": endpoint, "portal-endpoint-edit": `${endpoint}/edit`, "portal-endpoint-add": `${home}/endpoints/new?which=some&types=order.placed`,
    "portal-verify": `${endpoint}/verify?language=python`, "portal-deliveries": `${home}/deliveries`, "portal-message": `${home}/messages/${failing.id}`,
    "portal-event-types": `${home}/event-types`, "portal-event-type": `${home}/event-types/order.placed`, "portal-none": `${home}/none`, "portal-absent": "/portal",
  };
  for (const theme of ["Light", "Dark"]) {
    await go(home);
    await browser.click("footer button", theme);
    await eventually("the theme", () => browser.run(`return document.documentElement.dataset.theme === "${theme.toLowerCase()}"`));
    for (const [name, page] of Object.entries(pages)) {
      await go(page);
      await browser.one("h1");
      await accessible(`${name}, ${theme}`);
      await harmless(name);
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
  assert.equal(await browser.run("return getComputedStyle(document.querySelector('.owner')).display"), "flex");
  ok("every page, light, dark and narrow");

  // By keyboard alone.
  await go(home);
  await browser.keys(TAB, ENTER);
  assert.equal(await browser.run("return document.activeElement.id"), "main");
  const reach = async (css) => {
    for (let n = 0; n < 100; n += 1) {
      if (await browser.run(`return document.activeElement?.matches(${JSON.stringify(css)}) ?? false`)) return;
      await browser.keys(TAB);
    }
    throw new Error(`${css} is not reached by Tab`);
  };
  await reach("main a.button.primary");
  await browser.keys(ENTER);
  await browser.one("input[name=url]");
  await reach("input[name=url]");
  await browser.keys(...`${hooks}/keyboard`);
  await reach("form.stack button.primary");
  await browser.keys(ENTER);
  await browser.sees("Created.");
  assert.equal(await browser.text("h1"), `${hooks}/keyboard`);
  ok("an endpoint made by keyboard");

  // A link that only looks: no changes, no secrets.
  const looking = await link(acme, { readOnly: true, featureFlags: ["beta"] });
  await browser.open(`${looking.url}&theme=light`);
  await browser.sees("Shop backend");
  assert.equal(await browser.run("return document.documentElement.dataset.theme"), "light", "the link chooses the theme");
  for (const [name, page] of Object.entries({ ...pages, "portal-beta": `${home}/event-types/secret.beta` })) {
    if (name === "portal-endpoint-edit" || name === "portal-endpoint-add") {
      assert.equal(await status(`fetch('${page}')`), 403, name);
      continue;
    }
    await go(page);
    await browser.one("h1");
    assert.equal((await browser.all("main form[method=post]")).length, 0, name);
    assert.doesNotMatch(await browser.run("return document.body.textContent"), /whsec_[A-Za-z0-9+/]{8}/, name);
  }
  await go(endpoint);
  await accessible("an endpoint, only looked at");
  await browser.picture(pictures, "portal-endpoint-looking");
  const looker = await browser.run("return document.querySelector('input[name=form_token]').value");
  const tries = { pause: "disabled=true", secret: "", rotate: "", test: "type=order.placed", recover: "since=2026-01-01T00:00", missing: "since=2026-01-01T00:00", delete: "", edit: "url=https://a.example&which=all" };
  for (const [what, more] of Object.entries(tries)) {
    assert.equal(await status(`fetch('${endpoint}/${what}', {method: 'POST', body: new URLSearchParams('form_token=${looker}&${more}')})`), 403, what);
  }
  for (const whom of ["failed", id]) {
    assert.equal(await status(`fetch('${home}/messages/${failing.id}/resend', {method: 'POST', body: new URLSearchParams('form_token=${looker}&endpoint=${whom}')})`), 403);
  }
  ok("a link that only looks");

  // Links end: by their owner, all at once, and by whoever used them; a page says so, and nothing else.
  const own = await link(acme, { sessionId: "ann" });
  await browser.open(own.url);
  await browser.sees("Shop backend");
  await api("POST", `/api/v1/auth/app/${acme}/expire-all`, { sessionIds: ["ann"] });
  await eventually("the end", async () => {
    await go(home);
    return (await browser.text("body")).includes("This link has ended");
  });
  assert.ok(!(await browser.text("body")).includes("Acme"));
  await browser.picture(pictures, "portal-ended");
  await accessible("an ended link");
  await browser.open("about:blank");
  await browser.open(own.url);
  await browser.sees("This link has ended");
  await browser.open("about:blank");
  await browser.open((await link(acme)).url);
  await browser.sees("Shop backend");
  await browser.click("footer button", "End this link");
  await browser.sees("This link has ended");
  assert.equal(await status(`fetch('${home}')`), 401);
  const loggedOut = await link(acme);
  await browser.open("about:blank");
  await browser.open(loggedOut.url);
  await browser.sees("Shop backend");
  await api("POST", "/api/v1/auth/logout", {}, loggedOut.token);
  await eventually("the end", async () => (await status(`fetch('${home}')`)) === 401);
  await go("/portal#key=nonsense");
  await browser.sees("This link has ended");
  ok("links end");
} catch (error) {
  console.error(error, await browser.url().catch(() => ""));
  await browser.picture(pictures, "portal-failed").catch(() => {});
  process.exitCode = 1;
} finally {
  await browser.stop();
  server.close();
}
