// A receiver of Alakazam webhooks with nothing but Node's standard library.
//
//     node receiver.mjs --secret-file FILE [--port 8090] [--cert FILE --key FILE] [--answer 500,500,200]
//
// It verifies `Alakazam-Signature` over the raw body before it looks at the event, refuses what is older than five minutes,
// keys off the ids in `data`, since an occasional duplicate is possible, and answers at once.
// `--answer` gives statuses for the first requests that verify, to watch what the sender does with them; the last repeats,
// and 0 is no answer at all.
// The secret is read from its file at every request. It prints where it listens, then a line of JSON for each request.

import { createHmac, timingSafeEqual } from "node:crypto";
import { readFileSync } from "node:fs";
import http from "node:http";
import https from "node:https";
import { parseArgs } from "node:util";

const TOLERANCE_S = 300;

/** Whether `t=…,v1=…` is recent, and `v1` the hex HMAC-SHA256 of `${t}.${rawBody}`; the key is the whole `whsec_…`. */
function verify(secret, headers, rawBody, now) {
  const header = headers["alakazam-signature"] ?? "";
  const fields = Object.fromEntries(header.split(",").map((part) => part.split("=", 2)));
  if (!/^\d+$/.test(fields.t ?? "") || Math.abs(now - Number(fields.t)) > TOLERANCE_S) return false;
  const expected = createHmac("sha256", secret).update(`${fields.t}.`).update(rawBody).digest();
  const given = Buffer.from(fields.v1 ?? "", "hex");
  return given.length === expected.length && timingSafeEqual(given, expected);
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
  const said = { ...event, header: request.headers["alakazam-event"] };
  const status = answers.length > 1 ? answers.shift() : answers[0];
  if (status === 0) return;
  if (status < 200 || status > 299) return answer(status, { verdict: "failed", ...said });
  const key = `${event.type} ${event.data.jobId}`;
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
