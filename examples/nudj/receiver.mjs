// A receiver of Nudj webhooks with nothing but Node's standard library.
//
//     node receiver.mjs --secret-file FILE [--port 8090] [--answer 500,500,200]
//
// It does what the document recommends: verifies the signature before it looks at the event, remembers every event id for
// 24 hours and does the work once, answers 2xx on success. A 5xx asks for a retry, a 4xx ends the delivery.
// `--answer` gives statuses for the first requests that verify, to watch what the sender does with them; the last repeats.
// The secret is read from its file at every request. It prints where it listens, then a line of JSON for each request.

import crypto from "node:crypto";
import fs from "node:fs";
import http from "node:http";
import { parseArgs } from "node:util";

const REMEMBER_MS = 24 * 3600 * 1000;

/** Whether `X-Nudj-Signature` is `sha256=` and the hex HMAC-SHA256 of the raw body under the shared secret. */
function verified(secret, body, header) {
  const expected = Buffer.from("sha256=" + crypto.createHmac("sha256", secret).update(body).digest("hex"));
  const given = Buffer.from(header ?? "");
  return given.length === expected.length && crypto.timingSafeEqual(given, expected);
}

/** Event ids that were processed, for a day. */
const seen = new Map();

function repeated(id) {
  for (const [known, until] of seen) if (until <= Date.now()) seen.delete(known);
  if (seen.has(id)) return true;
  seen.set(id, Date.now() + REMEMBER_MS);
  return false;
}

const { values } = parseArgs({
  options: {
    "secret-file": { type: "string" },
    port: { type: "string", default: "8090" },
    answer: { type: "string", default: "200" },
  },
});
const answers = values.answer.split(",").map(Number);
const secret = () => fs.readFileSync(values["secret-file"], "utf8").trim();

const server = http.createServer(async (request, response) => {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  const body = Buffer.concat(chunks);
  const answer = (status, said) => {
    console.log(JSON.stringify({ status, ...said, path: request.url, headers: request.headers, body: body.toString() }));
    response.writeHead(status, { "Content-Type": "application/json" }).end(JSON.stringify({ verdict: said.verdict }));
  };
  if (!verified(secret(), body, request.headers["x-nudj-signature"])) return answer(401, { verdict: "refused" });
  const { id, event, timestamp, data } = JSON.parse(body);
  const said = {
    method: request.method,
    id,
    event,
    timestamp,
    data,
    header: request.headers["x-nudj-event"],
    delivery: request.headers["x-nudj-delivery-id"],
  };
  const status = answers.length > 1 ? answers.shift() : answers[0];
  if (status >= 300) return answer(status, { verdict: "failed", ...said });
  if (repeated(id)) return answer(200, { verdict: "duplicate", ...said });
  // Here the work is done.
  return answer(status, { verdict: "accepted", ...said });
});
server.listen(Number(values.port), "127.0.0.1", () => {
  console.log(`listening on http://127.0.0.1:${server.address().port}`);
});
