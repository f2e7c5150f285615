// A receiver of forwarded Alumia webhooks with nothing but Node's standard library.
//
//     node receiver.mjs --secret-file FILE [--port 8090] [--cert FILE --key FILE] [--answer 500,500,200]
//
// Alumia forwards what a webhook has received to its outbound `url`: the exact bytes that came, signed with the webhook's
// secret as `X-Webhook-Signature: sha256=` and the hex HMAC-SHA256 of the body.
// `--answer` gives statuses for the first requests that verify, to watch what the sender does with them; the last repeats,
// and 0 is no answer at all.
// The secret is read from its file at every request. It prints where it listens, then a line of JSON for each request.

import { createHmac, timingSafeEqual } from "node:crypto";
import { readFileSync } from "node:fs";
import http from "node:http";
import https from "node:https";
import { parseArgs } from "node:util";

/** Whether `X-Webhook-Signature` is `sha256=` and the hex HMAC-SHA256 of the raw body under the webhook's secret. */
function verify(secret, headers, body) {
  const expected = createHmac("sha256", secret).update(body).digest();
  const [prefix, hex] = (headers["x-webhook-signature"] ?? "").split("=", 2);
  const given = Buffer.from(hex ?? "", "hex");
  return prefix === "sha256" && given.length === expected.length && timingSafeEqual(given, expected);
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
  const key = body.toString("base64");
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
