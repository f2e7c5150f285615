// A receiver of Ilara webhooks with nothing but Node's standard library.
//
//     node receiver.mjs --secret-file FILE [--port 8090] [--answer 500,404,200]
//
// The check is the document's own, to the letter: it signs `JSON.stringify` of the parsed body, not the bytes that came.
// (In your own receiver, sign the raw bytes: that also holds for senders whose JSON is written in another way.)
// It answers within 5 seconds and takes every event id once, as the document's best practices say.
// `--answer` gives statuses for the first requests that verify, to watch what the sender does with them; the last repeats.
// The secret is read from its file at every request. It prints where it listens, then a line of JSON for each request.

import crypto from "node:crypto";
import fs from "node:fs";
import http from "node:http";
import { parseArgs } from "node:util";

function verifyWebhook(payload, signature, secret) {
  const expectedSignature = crypto.createHmac("sha256", secret).update(payload).digest("hex");
  const expected = Buffer.from(`sha256=${expectedSignature}`);
  const given = Buffer.from(signature ?? "");
  return given.length === expected.length && crypto.timingSafeEqual(given, expected);
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
const handled = new Set();

const server = http.createServer(async (request, response) => {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  const received = Buffer.concat(chunks).toString();
  const answer = (status, said) => {
    console.log(JSON.stringify({ status, ...said, path: request.url, headers: request.headers, body: received }));
    response.writeHead(status, { "Content-Type": "text/plain" }).end(said.verdict);
  };
  let body;
  try {
    body = JSON.parse(received);
  } catch {
    return answer(400, { verdict: "not JSON" });
  }
  const isValid = verifyWebhook(JSON.stringify(body), request.headers["x-ilara-signature"], secret());
  if (!isValid) return answer(401, { verdict: "Invalid signature" });
  const said = { id: body.id, type: body.type, timestamp: body.timestamp, data: body.data, metadata: body.metadata };
  const status = answers.length > 1 ? answers.shift() : answers[0];
  if (status >= 300) return answer(status, { verdict: "failed", ...said });
  const verdict = handled.has(body.id) ? "duplicate" : "accepted";
  handled.add(body.id);
  return answer(status, { verdict, ...said });
});
server.listen(Number(values.port), "127.0.0.1", () => {
  console.log(`listening on http://127.0.0.1:${server.address().port}`);
});
