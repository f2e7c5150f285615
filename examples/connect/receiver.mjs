// A receiver of AllFly Connect webhooks with nothing but Node's standard library.
//
//     node receiver.mjs --secret-file FILE [--port 8090] [--cert FILE --key FILE] [--answer 500,500,200]
//
// It verifies every request (`svix-id`, `svix-timestamp`, `svix-signature`) over the raw body, treats what fails as hostile,
// takes every `svix-id` once, and acknowledges at once. While a secret rotates, any one of several signatures is enough.
// `--answer` gives statuses for the first requests that verify, to watch what the sender does with them; the last repeats,
// and 0 is no answer at all.
// The secret is read from its file at every request. It prints where it listens, then a line of JSON for each request.

import { createHmac, timingSafeEqual } from "node:crypto";
import { readFileSync } from "node:fs";
import http from "node:http";
import https from "node:https";
import { parseArgs } from "node:util";

const TOLERANCE_S = 300;

/**
 * Whether one of the `v1,` signatures is the base64 HMAC-SHA256 of `{id}.{timestamp}.{body}`; the key is what the base64
 * after `whsec_` stands for.
 */
function verify(secret, headers, body, now) {
  const timestamp = headers["svix-timestamp"] ?? "";
  if (!/^\d+$/.test(timestamp) || Math.abs(now - Number(timestamp)) > TOLERANCE_S) return false;
  const key = Buffer.from(secret.replace(/^whsec_/, ""), "base64");
  const expected = createHmac("sha256", key).update(`${headers["svix-id"]}.${timestamp}.`).update(body).digest();
  return (headers["svix-signature"] ?? "").split(" ").some((part) => {
    const [version, text] = part.split(",", 2);
    const given = Buffer.from(text ?? "", "base64");
    return version === "v1" && given.length === expected.length && timingSafeEqual(given, expected);
  });
}

const { values } = parseArgs({
  options: {
    "secret-file": { type: "string" },
    port: { type: "string", default: "8090" },
    cert: { type: "string" },
    key: { type: "string" },
    answer: { type: "string", default: "200" },
  },
});
const answers = values.answer.split(",").map(Number);
const secret = () => readFileSync(values["secret-file"], "utf8").trim();
const handled = new Set();

async function receive(request, response) {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  const body = Buffer.concat(chunks);
  const answer = (status, said) => {
    console.log(JSON.stringify({ status, ...said, path: request.url, headers: request.headers, body: body.toString() }));
    response.writeHead(status, { "Content-Length": 0 }).end();
  };
  if (!verify(secret(), request.headers, body, Date.now() / 1000)) return answer(401, { verdict: "refused" });
  const event = JSON.parse(body);
  const said = { event };
  const status = answers.length > 1 ? answers.shift() : answers[0];
  if (status === 0) return;
  if (status < 200 || status > 299) return answer(status, { verdict: "failed", ...said });
  const key = request.headers["svix-id"];
  const verdict = handled.has(key) ? "duplicate" : "accepted";
  handled.add(key);
  return answer(status, { verdict, ...said });
}

const server = values.cert
  ? https.createServer({ cert: readFileSync(values.cert), key: readFileSync(values.key) }, receive)
  : http.createServer(receive);
server.listen(Number(values.port), "127.0.0.1", () => {
  console.log(`listening on ${values.cert ? "https" : "http"}://127.0.0.1:${server.address().port}`);
});
