// The published JavaScript client, unchanged, against a running server.
//
// Calls every method that the API's contract covers, asserts what comes back, receives the deliveries on a port of its own
// and verifies them with the library's verifier and with `standardwebhooks`. Prints a line for each method and their number.
//
//     flow.mjs URL TOKEN

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import http from "node:http";
import { Webhook as StandardWebhook } from "standardwebhooks";
import { ApiException, messageInRaw, Svix, Webhook } from "svix";

const PATIENCE_MS = 30_000;
const SUCCESS = 0;
const SCHEDULED = 0;
const MANUAL = 1;
const CODE_2XX = 200;

const arrivals = [];
let refusing = false;

const receiver = http.createServer((request, response) => {
  const parts = [];
  request.on("data", (part) => parts.push(part));
  request.on("end", () => {
    arrivals.push({ path: request.url, headers: request.headers, body: Buffer.concat(parts).toString() });
    response.writeHead(refusing ? 500 : 200).end("ok");
  });
});

const called = new Set();

/** Waits for one call of a method of the library and notes it. */
async function call(name, promise) {
  const result = await promise;
  if (!called.has(name)) {
    called.add(name);
    console.log("ok", name);
  }
  return result;
}

async function eventually(what, probe) {
  const deadline = performance.now() + PATIENCE_MS;
  while (performance.now() < deadline) {
    const found = await probe();
    if (found) return found;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  assert.fail(`never happened: ${what}`);
}

async function refused(status, promise) {
  const error = await promise.then(() => assert.fail(`was not refused with ${status}`), (e) => e);
  assert(error instanceof ApiException, String(error));
  assert.equal(error.code, status, JSON.stringify(error.body));
  return error.body;
}

const arrived = (path, count) => {
  const found = arrivals.filter((a) => a.path === path);
  return found.length >= count && found;
};

async function applications(svix) {
  const app = await call("application.create", svix.application.create({ name: "One", uid: "js-one", metadata: { a: "b" }, throttleRate: 500 }));
  assert.deepEqual([app.name, app.uid, app.metadata, app.throttleRate], ["One", "js-one", { a: "b" }, 500]);
  assert(app.id.startsWith("app_") && app.createdAt <= app.updatedAt);
  assert((await refused(409, svix.application.create({ name: "Two", uid: "js-one" }))).code);
  const again = await call("application.getOrCreate", svix.application.getOrCreate({ name: "Else", uid: "js-one" }));
  assert.deepEqual([again.id, again.name], [app.id, "One"]);
  assert.equal((await call("application.get", svix.application.get("js-one"))).id, app.id);

  const once = { idempotencyKey: `js-${randomUUID()}` };
  const first = await svix.application.create({ name: "Twice" }, once);
  assert.equal((await svix.application.create({ name: "Twice" }, once)).id, first.id);
  const changed = await call("application.upsert", svix.application.upsert(first.id, { name: "Thrice", uid: "js-two" }));
  assert.deepEqual([changed.id, changed.name, changed.uid], [first.id, "Thrice", "js-two"]);
  const made = await svix.application.upsert("js-three", { name: "Made", uid: "js-three" });
  const patched = await call("application.patch", svix.application.patch("js-three", { name: "Patched", metadata: { x: "y" } }));
  assert.deepEqual([patched.name, patched.uid, patched.metadata], ["Patched", "js-three", { x: "y" }]);

  const page = await call("application.list", svix.application.list({ limit: 1, order: "ascending" }));
  assert.deepEqual([page.data.length, page.done], [1, false]);
  const rest = await svix.application.list({ limit: 50, order: "ascending", iterator: page.iterator });
  const ids = [...page.data, ...rest.data].map((a) => a.id);
  assert.equal(new Set(ids).size, ids.length);
  assert(rest.done && [app.id, first.id, made.id].every((id) => ids.includes(id)));
  await call("application.delete", svix.application.delete("js-three"));
  await refused(404, svix.application.get(made.id));
  return app;
}

async function eventTypes(svix) {
  const schemas = { 1: { type: "object", properties: { id: { type: "string" } }, examples: [{ id: "first" }, { id: "second" }] } };
  const made = await call("eventType.create", svix.eventType.create({ name: "js.paid", description: "Paid", schemas, groupName: "js", featureFlags: ["beta"] }));
  assert.deepEqual([made.name, made.description, made.deprecated, made.groupName, made.featureFlags], ["js.paid", "Paid", false, "js", ["beta"]]);
  await refused(409, svix.eventType.create({ name: "js.paid", description: "Paid" }));
  assert.deepEqual((await call("eventType.get", svix.eventType.get("js.paid"))).schemas, schemas);
  const put = await call("eventType.upsert", svix.eventType.upsert("js.paid", { description: "Was paid", schemas }));
  assert.equal(put.description, "Was paid");
  assert.equal((await svix.eventType.upsert("js.fresh", { description: "New" })).name, "js.fresh");
  const patched = await call("eventType.patch", svix.eventType.patch("js.fresh", { description: "Newer", deprecated: true }));
  assert.deepEqual([patched.description, patched.deprecated], ["Newer", true]);
  const listed = await call("eventType.list", svix.eventType.list({ limit: 250, withContent: true }));
  assert.deepEqual(listed.data.find((e) => e.name === "js.paid").schemas, schemas);
  await call("eventType.delete", svix.eventType.delete("js.fresh"));
  const names = async (options) => (await svix.eventType.list({ limit: 250, ...options })).data.map((e) => e.name);
  assert(!(await names({})).includes("js.fresh") && (await names({ includeArchived: true })).includes("js.fresh"));
  await svix.eventType.delete("js.fresh", { expunge: true });
  await refused(404, svix.eventType.get("js.fresh"));
}

async function endpoints(svix, app, base) {
  const made = await call(
    "endpoint.create",
    svix.endpoint.create(app.id, {
      url: `${base}/main`,
      uid: "js-main",
      description: "Main",
      eventTypes: ["js.paid"],
      metadata: { k: "v" },
      headers: { "X-Custom": "yes" },
      throttleRate: 400,
    }),
  );
  assert.deepEqual([made.url, made.uid, made.description, made.eventTypes], [`${base}/main`, "js-main", "Main", ["js.paid"]]);
  assert.deepEqual([made.metadata, made.throttleRate, made.disabled], [{ k: "v" }, 400, false]);
  assert.equal((await call("endpoint.get", svix.endpoint.get(app.id, "js-main"))).id, made.id);
  const other = await call("endpoint.upsert", svix.endpoint.upsert(app.id, "js-other", { url: `${base}/other`, uid: "js-other", channels: ["red"] }));
  assert.deepEqual([other.uid, other.channels], ["js-other", ["red"]]);
  const put = await svix.endpoint.upsert(app.id, "js-other", { url: `${base}/other2`, uid: "js-other" });
  assert.deepEqual([put.id, put.url, put.channels ?? null], [other.id, `${base}/other2`, null]);
  const patched = await call("endpoint.patch", svix.endpoint.patch(app.id, "js-other", { description: "Patched", disabled: true }));
  assert.deepEqual([patched.description, patched.disabled, patched.url], ["Patched", true, `${base}/other2`]);
  const page = await call("endpoint.list", svix.endpoint.list(app.id, { limit: 1 }));
  const rest = await svix.endpoint.list(app.id, { limit: 1, iterator: page.iterator });
  assert.deepEqual(new Set([page.data[0].id, rest.data[0].id]), new Set([made.id, other.id]));
  const back = await svix.endpoint.list(app.id, { limit: 1, iterator: rest.prevIterator });
  assert.equal(back.data[0].id, page.data[0].id);
  await call("endpoint.delete", svix.endpoint.delete(app.id, "js-other"));
  await refused(404, svix.endpoint.get(app.id, other.id));

  assert.deepEqual((await call("endpoint.getHeaders", svix.endpoint.getHeaders(app.id, made.id))).headers, { "x-custom": "yes" });
  await call("endpoint.setHeaders", svix.endpoint.setHeaders(app.id, made.id, { headers: { "x-one": "1", "x-two": "2" } }));
  await call("endpoint.patchHeaders", svix.endpoint.patchHeaders(app.id, made.id, { headers: { "x-three": "3" }, deleteHeaders: ["x-one"] }));
  assert.deepEqual((await svix.endpoint.getHeaders(app.id, made.id)).headers, { "x-two": "2", "x-three": "3" });
  return made;
}

/** Both verifiers accept the delivery, and refuse it when it is changed. */
function verified(secret, { headers, body }) {
  for (const verifier of [new Webhook(secret), new StandardWebhook(secret)]) {
    verifier.verify(body, headers);
    assert.throws(() => verifier.verify(`${body} `, headers));
  }
}

async function messages(svix, app, endpoint) {
  const secret = (await call("endpoint.getSecret", svix.endpoint.getSecret(app.id, endpoint.id))).key;
  assert(secret.startsWith("whsec_"));
  const payload = { id: "in_1", amount: 12.5, text: "žluťoučký" };
  const body = { eventType: "js.paid", eventId: "js-1", payload, channels: ["red"], tags: ["t1"], payloadRetentionHours: 24 };
  const sent = await call("message.create", svix.message.create(app.id, body, { withContent: true }));
  assert.deepEqual([sent.eventType, sent.eventId, sent.payload, sent.channels, sent.tags], ["js.paid", "js-1", payload, ["red"], ["t1"]]);
  await refused(409, svix.message.create(app.id, body));
  const [arrival] = await eventually("the delivery", () => arrived("/main", 1));
  verified(secret, arrival);
  assert.deepEqual(JSON.parse(arrival.body), payload);
  assert.equal(arrival.headers["webhook-id"], sent.id);
  assert.deepEqual([arrival.headers["x-two"], arrival.headers["x-three"], arrival.headers["content-type"]], ["2", "3", "application/json"]);

  assert.deepEqual((await call("message.get", svix.message.get(app.id, sent.id, { withContent: true }))).payload, payload);
  const listed = await call("message.list", svix.message.list(app.id, { tag: "t1", channel: "red", eventTypes: ["js.paid"], withContent: true }));
  assert.deepEqual(listed.data.map((m) => [m.id, m.payload]), [[sent.id, payload]]);
  assert.deepEqual((await svix.message.list(app.id, { tag: "unknown" })).data, []);
  assert.deepEqual((await svix.message.list(app.id, { before: new Date(sent.timestamp.getTime() - 300_000) })).data, []);

  const later = new Date(Date.now() + 3_600_000);
  const scheduled = await svix.message.create(app.id, { eventType: "js.paid", payload: { later: true }, deliverAt: later });
  assert(Math.abs(scheduled.deliverAt - later) < 1000);

  const raw = '{ "spaced" : 1.0 }';
  await call("messageInRaw", svix.message.create(app.id, messageInRaw("js.paid", raw)));
  await eventually("the raw payload", () => arrivals.find((a) => a.body === raw));

  await call("endpoint.rotateSecret", svix.endpoint.rotateSecret(app.id, endpoint.id, { gracePeriodSeconds: 3600 }));
  const fresh = (await svix.endpoint.getSecret(app.id, endpoint.id)).key;
  assert.notEqual(fresh, secret);
  await svix.message.create(app.id, { eventType: "js.paid", payload: { n: 2 } });
  const third = (await eventually("the delivery after the rotation", () => arrived("/main", 3)))[2];
  verified(secret, third);
  verified(fresh, third);
  return sent;
}

async function attempts(svix, app, endpoint, sent) {
  await eventually("an attempt", async () => (await svix.messageAttempt.listByMsg(app.id, sent.id)).data.length);
  const filter = { endpointId: endpoint.id, status: SUCCESS, statusCodeClass: CODE_2XX, expandedStatuses: true, withContent: true, tag: "t1" };
  const [attempt] = (await call("messageAttempt.listByMsg", svix.messageAttempt.listByMsg(app.id, sent.id, filter))).data;
  assert.deepEqual([attempt.endpointId, attempt.msgId, attempt.responseStatusCode, attempt.response], [endpoint.id, sent.id, 200, "ok"]);
  assert.deepEqual([attempt.status, attempt.statusText, attempt.triggerType, attempt.url], [SUCCESS, "success", SCHEDULED, endpoint.url]);
  const listed = await call(
    "messageAttempt.listByEndpoint",
    svix.messageAttempt.listByEndpoint(app.id, endpoint.id, { withMsg: true, tag: "t1", eventTypes: ["js.paid"], limit: 10 }),
  );
  assert.deepEqual(listed.data.map((a) => [a.id, a.msg.id]), [[attempt.id, sent.id]]);
  const got = await call("messageAttempt.get", svix.messageAttempt.get(app.id, sent.id, attempt.id, { expandedStatuses: true }));
  assert.deepEqual([got.id, got.response], [attempt.id, "ok"]);
  const attempted = await call(
    "messageAttempt.listAttemptedMessages",
    svix.messageAttempt.listAttemptedMessages(app.id, endpoint.id, { tag: "t1", status: SUCCESS, withContent: true }),
  );
  assert.deepEqual(attempted.data.map((m) => [m.id, m.status]), [[sent.id, SUCCESS]]);
  const destinations = await call("messageAttempt.listAttemptedDestinations", svix.messageAttempt.listAttemptedDestinations(app.id, sent.id));
  assert.deepEqual(destinations.data.map((d) => [d.id, d.status]), [[endpoint.id, SUCCESS]]);

  const count = arrived("/main", 1).length;
  await call("messageAttempt.resend", svix.messageAttempt.resend(app.id, sent.id, endpoint.id));
  await eventually("the resent delivery", () => arrived("/main", count + 1));
  const manual = await eventually("the manual attempt", async () =>
    (await svix.messageAttempt.listByMsg(app.id, sent.id)).data.find((a) => a.triggerType === MANUAL),
  );
  await call("messageAttempt.expungeContent", svix.messageAttempt.expungeContent(app.id, sent.id, manual.id));
  assert.notEqual((await svix.messageAttempt.get(app.id, sent.id, manual.id)).response, "ok");
  await call("message.expungeContent", svix.message.expungeContent(app.id, sent.id));
  assert.equal((await svix.message.get(app.id, sent.id, { withContent: true })).payload?.amount, undefined);
}

async function operations(svix, app, endpoint) {
  const example = await call("endpoint.sendExample", svix.endpoint.sendExample(app.id, endpoint.id, { eventType: "js.paid", exampleIndex: 1 }));
  assert.equal(example.eventType, "js.paid");
  await eventually("the example", () => arrivals.find((a) => a.path === "/main" && JSON.parse(a.body).id === "second"));

  refusing = true;
  const failing = await svix.message.create(app.id, { eventType: "js.paid", payload: { fails: true } });
  await eventually("a failed attempt with a retry ahead", async () =>
    (await svix.messageAttempt.listAttemptedDestinations(app.id, failing.id)).data.find((d) => d.nextAttempt),
  );
  refusing = false;
  const since = new Date(Date.now() - 3_600_000);
  const recovery = await call("endpoint.recover", svix.endpoint.recover(app.id, endpoint.id, { since }));
  assert(recovery.id && recovery.task === "endpoint.recover");
  const stats = await call("endpoint.getStats", svix.endpoint.getStats(app.id, endpoint.id, { since }));
  assert(stats.success >= 3 && stats.success + stats.pending + stats.sending + stats.fail >= 4, JSON.stringify(stats));
}

async function authentication(svix, app, url) {
  const access = await call(
    "authentication.appPortalAccess",
    svix.authentication.appPortalAccess(app.id, { readOnly: true, expiry: 7200, featureFlags: ["beta"] }),
  );
  assert(access.token && access.url.startsWith("http"));
  const portal = new Svix(access.token, { serverUrl: url });
  assert((await portal.endpoint.list(app.id)).data.length);
  await refused(403, portal.endpoint.create(app.id, { url: "http://127.0.0.1:9/x" }));
  await refused(404, portal.endpoint.list("js-two"));
  await call("authentication.logout", portal.authentication.logout());
  await refused(401, portal.endpoint.list(app.id));
}

const [url, token] = process.argv.slice(2);
await new Promise((resolve) => receiver.listen(0, "127.0.0.1", resolve));
const base = `http://127.0.0.1:${receiver.address().port}`;
const svix = new Svix(token, { serverUrl: url });
await call("health.get", svix.health.get());
const app = await applications(svix);
await eventTypes(svix);
const endpoint = await endpoints(svix, app, base);
const sent = await messages(svix, app, endpoint);
await attempts(svix, app, endpoint, sent);
await operations(svix, app, endpoint);
await authentication(svix, app, url);
const invalid = await refused(422, svix.application.create({ name: "x", uid: "not valid!" }));
assert(invalid.detail.length);
console.log(`${called.size} methods`);
receiver.closeAllConnections();
receiver.close();
