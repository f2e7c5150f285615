// Every form of the settings, submitted; signing in by a provider; a password reset by its link. Ends each check with `ok …`.
import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Browser, ENTER, TAB, eventually } from "./driver.mjs";

const [link, provider, key, axe, pictures] = process.argv.slice(2);
const base = new URL(link).origin;
const PASSWORD = "correct horse battery";
const NEXT_PASSWORD = "an entirely new password";
const EVIL = `<script>window.hit=1</script><img src=x onerror="window.hit=1">"'><svg onload=window.hit=1>`;
const SHORT_EVIL = `"'><img src=x onerror=window.hit=1>`;
const ACCENT = "#f5d90a";
// A square of 8 pixels.
const PNG = Buffer.from("iVBORw0KGgoAAAANSUhEUgAAAAgAAAAICAIAAABLbSncAAAAEUlEQVR42mPgrirFihiGlgQAUbA+gQ2XlNoAAAAASUVORK5CYII=", "base64");
const files = mkdtempSync(join(tmpdir(), "logo-"));
writeFileSync(join(files, "logo.png"), PNG);
writeFileSync(join(files, "logo.svg"), `<svg xmlns="http://www.w3.org/2000/svg" onload="window.hit=1"/>`);

async function ask(method, path, body, token = key) {
  const headers = { authorization: `Bearer ${token}`, "content-type": "application/json" };
  const answer = await fetch(base + path, { method, headers, body: body && JSON.stringify(body) });
  const text = await answer.text();
  return { status: answer.status, body: text && JSON.parse(text) };
}
async function api(method, path, body) {
  const { status, body: answer } = await ask(method, path, body);
  assert.ok(status < 300, `${method} ${path}: ${status} ${JSON.stringify(answer)}`);
  return answer;
}

const browser = await Browser.start();
const go = (path) => browser.open(base + path);
const path = async () => { const url = new URL(await browser.url()); return url.pathname + url.search; };
const ok = (what) => console.log(`ok ${what}`);
const harmless = (name) => browser.harmless(name);
const choose = (css, value) => browser.click(`${css} option[value="${value}"]`);
const noted = async (text) => browser.sees(text, "main");

// A page in light, in the dark and at 360 pixels: accessible, harmless, pictured, and no wider than its window.
async function looked(name, page) {
  for (const [theme, width, ending] of [["light", 1280, ""], ["dark", 1280, "-dark"], ["dark", 360, "-narrow"]]) {
    await browser.size(width, 900);
    if (page) await go(page);
    await browser.one("h1");
    await browser.run("document.documentElement.dataset.theme = arguments[0]", theme);
    const wide = await browser.run("return document.documentElement.scrollWidth");
    assert.ok(wide <= width, `${name} is ${wide} wide`);
    await browser.accessible(axe, `${name}, ${theme}, ${width}`);
    await harmless(name);
    await browser.picture(pictures, name + ending);
  }
  await browser.size(1280, 900);
}

try {
  // The page where people sign in, with a provider beside the password.
  await go("/dashboard/sign-in");
  await browser.sees("Sign in with your organization");
  await looked("sign-in-provider", "/dashboard/sign-in");
  await browser.open(link);
  await browser.click("button.primary", "Sign in");
  await browser.fill("input[name=password]", PASSWORD);
  await browser.click("button.primary", "Set the password");
  await browser.sees("Your password is set");
  ok("a sign-in page with a provider");

  // Retention.
  await go("/dashboard/settings");
  await browser.fill("input[name=messages]", "48");
  await browser.fill("input[name=payloads]", "24");
  await browser.click("form[action$=retention] button");
  await noted("Saved.");
  assert.deepEqual(await api("GET", "/api/v1/retention").then(({ messageHours, payloadHours }) => [messageHours, payloadHours]), [48, 24]);
  await browser.fill("input[name=messages]", "99999999");
  await browser.click("form[action$=retention] button");
  await noted("A number from 1 to 87,600");
  const marked = () => browser.run("const one = document.activeElement; return [one.name, one.value, one.getAttribute('aria-invalid'), document.getElementById(one.getAttribute('aria-describedby'))?.textContent ?? '']");
  assert.deepEqual(await marked(), ["messages", "99999999", "true", "A number from 1 to 87,600."], "what was entered is kept, and gone to");
  assert.equal(await browser.run("return document.querySelector('input[name=payloads]').value"), "24");
  await looked("settings-refused");
  await go("/dashboard/settings");
  for (const name of ["messages", "payloads"]) await browser.fill(`input[name=${name}]`, "");
  await browser.click("form[action$=retention] button");
  await noted("Saved.");
  assert.equal((await api("GET", "/api/v1/retention")).messageHours, null);
  ok("retention set, refused and lifted");

  // Profiles: copied, refused, changed, chosen, deleted.
  await go("/dashboard/settings/profiles/standard");
  await browser.fill("input[name=name]", "mine");
  await browser.click("button", "Copy");
  await noted("Created.");
  const text = JSON.parse(await browser.run("return document.querySelector('textarea[name=profile]').value"));
  const write = (value) => browser.run("document.querySelector('textarea[name=profile]').value = arguments[0]", value);
  await write("{ not json");
  await browser.click("button.primary", "Save");
  await noted("This is not JSON");
  assert.equal(await browser.run("return document.querySelector('textarea[name=profile]').value"), "{ not json");
  await write(JSON.stringify({ ...text, description: EVIL }));
  await browser.click("button.primary", "Save");
  await noted("Saved.");
  await harmless("a profile with markup");
  await looked("profile-own", "/dashboard/settings/profiles/mine");
  await go("/dashboard/settings");
  await harmless("the list of profiles");
  await browser.run("[...document.querySelector('select[name=profile]').options].find((one) => one.text === 'mine').selected = true");
  await browser.click("form[action$=profile] button.primary");
  await noted("Saved.");
  assert.equal((await api("GET", "/api/v1/profile/default")).profile, "mine");
  await choose("select[name=profile]", "");
  await browser.click("form[action$=profile] button.primary");
  await noted("Saved.");
  await go("/dashboard/settings/profiles/mine");
  await browser.click("button.danger", "Delete the profile");
  await browser.accept();
  await noted("Deleted.");
  assert.equal((await ask("GET", "/api/v1/profile/mine")).status, 404);
  ok("a profile copied, changed, chosen and deleted");

  // Keys: one is made, works, and does not once it is revoked.
  await go("/dashboard/keys");
  await browser.fill("input[name=name]", EVIL);
  await browser.fill("input[name=days]", "7");
  await browser.click("button.primary", "Create");
  const token = await browser.text("#token");
  assert.equal((await ask("GET", "/api/v1/app", undefined, token)).status, 200);
  await harmless("a key with markup");
  await looked("key-new");
  await go("/dashboard/keys");
  await browser.click("tr:has(td:first-child img), tr", "<script>");
  const row = (await api("GET", "/api/v1/key")).data.find((one) => one.name === EVIL);
  await browser.click(`form[action="/dashboard/keys/${row.id}/revoke"] button`);
  await browser.accept();
  await noted("Revoked.");
  assert.equal((await ask("GET", "/api/v1/app", undefined, token)).status, 401);
  ok("a key made and revoked");

  // Filters of lists, in pages both ways by URLs that can be shared.
  for (let n = 100; n < 206; n += 1) {
    await api("POST", "/api/v1/event-type", { name: `bulk.n${n}`, description: n % 2 ? "odd" : "even", groupName: "Bulk" });
    if (n < 104) await api("POST", "/api/v1/event-type", { name: `other.n${n}`, description: "of no bulk category" });
  }
  const rows = () => browser.run("return [...document.querySelectorAll('tbody td:first-child')].map((cell) => cell.textContent)");
  await go("/dashboard/event-types");
  await browser.fill("input[name=q]", "BULK.");
  await browser.click("form[role=search] button");
  await eventually("a full page", async () => (await path()) === "/dashboard/event-types?q=BULK." && (await rows()).length === 100);
  const early = await rows();
  await browser.click("a[rel=next]");
  await eventually("the rest", async () => (await rows()).length === 6);
  const shared = await browser.url();
  await browser.click("a[rel=prev]");
  await eventually("the page before", async () => (await rows()).join() === early.join());
  assert.equal((await browser.all("a[rel=prev]")).length, 0, "nothing is before the first");
  await browser.open(shared);
  assert.equal((await rows()).at(-1), "bulk.n205");
  await go("/dashboard/event-types?q=even");
  assert.equal((await rows()).length, 53);
  for (const [list, found] of [["keys?q=nobody", 0], ["users?role=admin", 1], ["users?q=zoe", 0], ["alerts?state=firing", 0], ["replays?state=running", 0]]) {
    await go(`/dashboard/${list}`);
    assert.equal((await rows()).length, found, list);
    if (!found) await browser.sees("Nothing found");
  }
  ok("lists filtered, and paged both ways");

  // A source whose secret is rotated: both sign for a day, and nothing else does.
  await go("/dashboard/sources");
  await browser.fill("input[name=name]", SHORT_EVIL);
  await choose("section select[name=provider]", "github");
  await browser.fill("input[name=secret]", "the old secret");
  await browser.click("button.primary", "Add");
  await noted("Created.");
  await browser.fill("section input[name=secret]", "the new secret");
  await browser.click("button", "Rotate the secret");
  await noted("The old one verifies beside it");
  await harmless("a source with markup");
  const receive = await browser.text("#url");
  for (const [secret, status] of [["the old secret", 200], ["the new secret", 200], ["another", 401]]) {
    const body = JSON.stringify({ secret });
    const signature = `sha256=${createHmac("sha256", secret).update(body).digest("hex")}`;
    const answer = await fetch(receive, { method: "POST", body, headers: { "x-github-event": "push", "x-github-delivery": secret, "x-hub-signature-256": signature } });
    assert.equal(answer.status === 200, status === 200, `${secret}: ${answer.status}`);
  }
  ok("a source's secret rotated");

  // An alert with a letter to try it.
  await go("/dashboard/alerts/new");
  await browser.fill("input[name=name]", EVIL.slice(0, 100));
  const shown = () => browser.run("return [...document.querySelectorAll('[data-when] input')].filter((one) => one.offsetParent).map((one) => one.name)");
  assert.deepEqual(await shown(), ["minutes"]);
  await choose("select[name=type]", "failureRate");
  assert.deepEqual(await shown(), ["percent", "window", "attempts"]);
  await browser.fill("input[name=percent]", "20");
  await browser.fill("textarea[name=emails]", "ann@example.com\nbob@example.com");
  await browser.click("button.primary", "Create the alert");
  await noted("Created.");
  await noted("20 % or more of the attempts");
  await browser.click("button", "Send a test mail");
  await noted("ann@example.com: the mail server has taken the test");
  await noted("bob@example.com: the mail server has taken the test");
  await harmless("an alert with markup");
  await looked("alert-tested");
  ok("an alert tried by letters");

  // How the portal looks: a name, colours that become legible, a logo, and who may frame it.
  const app = await api("POST", "/api/v1/app", { name: "Acme Outdoor" });
  const page = "/dashboard/settings/portal";
  await go(page);
  await looked("settings-portal-empty");
  await go(page);
  await browser.fill("input[name=name]", SHORT_EVIL);
  await browser.fill("input[name=color]", ACCENT);
  await choose("select[name=framing]", "these");
  await browser.fill("textarea[name=origins]", "https://shop.example\nhttps://*.shop.example");
  await browser.click("button.primary", "Save");
  await noted("Saved.");
  await harmless("a brand with markup");
  const framing = async () => (await api("GET", "/api/v1/branding")).origins;
  assert.equal((await framing()).length, 2);
  await choose("select[name=framing]", "nobody");
  await browser.click("button.primary", "Save");
  await eventually("nobody", async () => (await framing())?.length === 0);
  await go(page);
  await browser.click("button.primary", "Save");
  await noted("Saved.");
  assert.deepEqual(await framing(), []);
  await choose("select[name=framing]", "these");
  await browser.fill("textarea[name=origins]", "https://shop.example\nhttps://*.shop.example");
  await browser.click("button.primary", "Save");
  await eventually("these", async () => (await framing()).length === 2);
  await go(page);
  await browser.fill("textarea[name=origins]", "javascript:alert(1)");
  await browser.click("button.primary", "Save");
  await noted("An origin as https://app.example.com");
  assert.equal(await browser.run("return document.querySelector('textarea[name=origins]').value"), "javascript:alert(1)");
  const upload = async (name) => {
    await go(page);
    const field = await browser.one("input[type=file]");
    await browser.post(`/element/${field}/value`, { text: join(files, name) });
    await eventually("the file is read", () => browser.run("return document.querySelector('input[name=image]').value.length > 0"));
    await browser.click("button.primary", "Upload");
  };
  await upload("logo.svg");
  await noted("It is neither PNG, JPEG nor WebP");
  await upload("logo.png");
  await noted("Saved.");
  assert.equal(await browser.run("return document.querySelector('.logo img').naturalWidth"), 8);
  await browser.fill("input[name=name]", "Northwind");
  await browser.click("button.primary", "Save");
  await noted("Saved.");
  await looked("settings-portal", page);
  await go(page);
  await browser.fill("input[name=name]", SHORT_EVIL);
  await browser.click("button.primary", "Save");
  await noted("Saved.");
  const entry = await api("POST", `/api/v1/auth/app-portal-access/${app.id}`, {});
  const portal = await fetch(entry.url.split("#")[0]);
  assert.ok(portal.headers.get("content-security-policy").includes("frame-ancestors https://shop.example https://*.shop.example"));
  await browser.open(entry.url);
  await browser.sees("Get told when something happens");
  assert.equal(await browser.run("return document.querySelector('.owner img').naturalWidth"), 8);
  assert.equal(await browser.run("return document.querySelector('.owner img').alt"), SHORT_EVIL);
  const accent = await browser.run("return getComputedStyle(document.documentElement).getPropertyValue('--accent').trim()");
  assert.match(accent, /^#[0-9a-f]{6}$/);
  assert.notEqual(accent, ACCENT, "too pale for white");
  await looked("portal-branded");
  await browser.click("footer button", "End this link");
  await browser.sees("This link has ended");
  assert.equal(await browser.run("return document.querySelector('.owner img').naturalWidth"), 8, "also before and after a link");
  await go(page);
  await browser.click("button", "Remove it");
  await noted("Saved.");
  await noted("No logo of your own");
  ok("a portal with the organization's name, colours and logo");

  // The same by keyboard.
  const reach = async (css) => {
    for (let n = 0; n < 100; n += 1) {
      if (await browser.run(`return document.activeElement?.matches(${JSON.stringify(css)}) ?? false`)) return;
      await browser.keys(TAB);
    }
    throw new Error(`${css} is not reached by Tab`);
  };
  await go(page);
  await browser.fill("input[name=name]", "");
  await go(page);
  await reach("input[name=color]");
  await browser.run("document.activeElement.select()");
  await browser.keys(..."#0a5c8f", ENTER);
  await noted("Saved.");
  assert.equal((await api("GET", "/api/v1/branding")).color, "#0a5c8f");
  ok("a colour by keyboard");

  // Users: one is added, gets another role and another link.
  await go("/dashboard/users");
  await browser.fill("input[name=login]", "two words");
  await browser.fill("form.grid input[name=name]", EVIL.slice(0, 100));
  await browser.run("document.querySelector('form.grid select[name=role]').value = 'operator'");
  await browser.click("button.primary", "Add and make a link");
  await eventually("the refusal at its field", async () => (await marked())[0] === "login");
  assert.equal(await browser.run("return document.querySelector('form.grid input[name=name]').value"), EVIL.slice(0, 100));
  assert.equal(await browser.run("return document.querySelector('form.grid select[name=role]').value"), "operator");
  await harmless("a refused user with markup");
  await looked("users-refused");
  await go("/dashboard/messages?code=abc&tag=kept");
  await noted("This is not a status");
  assert.equal(await browser.run("return document.querySelector('input[name=tag]').value"), "kept");
  await looked("messages-refused");
  await go("/dashboard/users");
  await browser.fill("input[name=login]", "bob@example.com");
  await browser.fill("form.grid input[name=name]", EVIL.slice(0, 100));
  await browser.run("document.querySelector('form.grid select[name=role]').value = 'operator'");
  await browser.click("button.primary", "Add and make a link");
  await browser.text("#link");
  await harmless("a user with markup");
  const bob = () => api("GET", "/api/v1/user").then(({ data }) => data.find((user) => user.login === "bob@example.com"));
  assert.equal((await bob()).role, "operator");
  const { id } = await bob();
  await looked("user-new");
  await go("/dashboard/users");
  await browser.run("document.querySelector(`form[action$='${arguments[0]}/role'] select`).value = 'viewer'", id);
  await browser.click(`form[action$='${id}/role'] button`);
  await noted("The role is changed.");
  assert.equal((await bob()).role, "viewer");
  await browser.click(`form[action$='${id}/link'] button`);
  const first = await browser.text("#link");
  await browser.click("header button.link", "Sign out");
  await browser.sees("You are signed out");
  ok("a user added, with another role and a link");

  // A password is set by a link, forgotten, and reset by another.
  const enter = async (at, reset) => {
    await browser.open(at);
    await browser.sees("Welcome");
    if (reset) await browser.click("input[name=reset]");
    await browser.click("button.primary", "Sign in");
  };
  const signIn = async (password) => {
    await go("/dashboard/sign-in");
    await browser.fill("input[name=login]", "bob@example.com");
    await browser.fill("input[name=password]", password);
    await browser.click("button.primary");
  };
  await enter(first, false);
  await browser.fill("input[name=password]", PASSWORD);
  await browser.click("button.primary", "Set the password");
  await noted("Your password is set");
  await looked("account-viewer");
  await go("/dashboard/account");
  await browser.click("header button.link", "Sign out");
  await browser.sees("You are signed out");
  const { url: again } = await api("POST", `/api/v1/user/${id}/link`);
  await browser.open(again);
  await looked("enter-link");
  await enter(again, true);
  await browser.sees("New password");
  assert.equal((await browser.all("input[name=current]")).length, 0, "who forgot it cannot say it");
  await looked("password-reset");
  await browser.fill("input[name=password]", NEXT_PASSWORD);
  await browser.click("button.primary", "Set the password");
  await noted("Your password is set");
  await browser.click("header button.link", "Sign out");
  await browser.sees("You are signed out");
  await signIn(PASSWORD);
  await browser.sees("The name or the password is wrong");
  await signIn(NEXT_PASSWORD);
  await browser.sees("Overview");
  await browser.click("header button.link", "Sign out");
  await browser.sees("You are signed out");
  await browser.open(again);
  await browser.sees("This link is used up");
  await looked("enter-used");
  ok("a password reset by its link");

  // By the provider, whose claims are strangers' words.
  await fetch(`${provider}/next`, { method: "POST", body: JSON.stringify({ groups: "root", name: EVIL, email: "eve@example.com", sub: EVIL }) });
  await go("/dashboard/sign-in?next=%2Fdashboard%2Fusers");
  await browser.click("a.button", "Sign in with your organization");
  await eventually("the way back", async () => (await path()) === "/dashboard/users");
  await browser.sees("eve@example.com");
  await harmless("somebody with markup for a name");
  await go("/dashboard/account");
  await harmless("an account with markup for a name");
  await browser.accessible(axe, "an account with markup for a name");
  await go("/dashboard/audit");
  await browser.sees("eve@example.com");
  await harmless("an audit log with markup");
  await go("/dashboard/users");
  await browser.click(`form[action$='${id}/delete'] button`);
  await browser.accept();
  await noted("Deleted.");
  assert.equal(await bob(), undefined);
  await browser.click("header button.link", "Sign out");
  await browser.sees("You are signed out");
  await fetch(`${provider}/next`, { method: "POST", body: JSON.stringify({ groups: [], name: EVIL, email: "mallory@example.com", sub: "m" }) });
  await go("/dashboard/sign-in");
  await browser.click("a.button", "Sign in with your organization");
  await browser.sees("You have no role here", "body");
  await harmless("who has no role");
  ok("signing in by a provider");
} catch (error) {
  console.error(error, await browser.url().catch(() => ""));
  await browser.picture(pictures, "settings-failed").catch(() => {});
  process.exitCode = 1;
} finally {
  await browser.stop();
  rmSync(files, { recursive: true, force: true });
}
