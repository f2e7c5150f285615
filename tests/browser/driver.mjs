// A small WebDriver client: what the browser tests need, over fetch, without a dependency.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, mkdirSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const ELEMENT = "element-6066-11e4-a52e-4f735466cecf";
const PATIENCE_MS = 20000;
const LOOK_MS = 50;

export async function eventually(what, probe) {
  const deadline = Date.now() + PATIENCE_MS;
  for (;;) {
    let found;
    try {
      found = await probe();
    } catch (error) {
      if (Date.now() > deadline) throw error;
    }
    if (found) return found;
    if (Date.now() > deadline) throw new Error(`never happened: ${what}`);
    await new Promise((done) => setTimeout(done, LOOK_MS));
  }
}

export class Browser {
  static async start({ dark = false, width = 1280, height = 900 } = {}) {
    const driver = spawn("chromedriver", ["--port=0"], { stdio: ["ignore", "pipe", "inherit"] });
    const port = await new Promise((done, failed) => {
      driver.on("error", failed);
      driver.on("exit", (code) => failed(new Error(`chromedriver ended: ${code}`)));
      let said = "";
      driver.stdout.on("data", (data) => {
        said += data;
        const found = /started successfully on port (\d+)/.exec(said);
        if (found) done(Number(found[1]));
      });
    });
    const browser = new Browser();
    Object.assign(browser, { driver, base: `http://127.0.0.1:${port}`, profile: mkdtempSync(join(tmpdir(), "browser-")) });
    const args = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
      "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage",
      "--hide-scrollbars", "--lang=en-GB", `--user-data-dir=${browser.profile}`, `--window-size=${width},${height}`];
    if (dark) args.push("--force-dark-mode", "--blink-settings=preferredColorScheme=0");
    const made = await browser.ask("POST", "/session", {
      capabilities: { alwaysMatch: { browserName: "chrome", "goog:chromeOptions": { args }, "goog:loggingPrefs": { browser: "ALL" } } },
    });
    browser.session = `/session/${made.sessionId}`;
    await browser.size(width, height);
    return browser;
  }

  async ask(method, path, body) {
    const answer = await fetch(this.base + path, { method, body: method === "POST" ? JSON.stringify(body ?? {}) : undefined });
    const { value } = await answer.json();
    if (value?.error) throw new Error(`${value.error}: ${value.message}`);
    return value;
  }

  post(path, body) { return this.ask("POST", this.session + path, body); }
  get(path) { return this.ask("GET", this.session + path); }

  async stop() {
    await this.ask("DELETE", this.session).catch(() => {});
    this.driver.removeAllListeners("exit");
    this.driver.kill();
    rmSync(this.profile, { recursive: true, force: true, maxRetries: 5 });
  }

  open(url) { return this.post("/url", { url }); }
  url() { return this.get("/url"); }
  title() { return this.get("/title"); }

  // The size of the viewport, also below what a window may have.
  size(width, height) {
    return this.post("/goog/cdp/execute", {
      cmd: "Emulation.setDeviceMetricsOverride", params: { width, height, deviceScaleFactor: 1, mobile: false },
    });
  }

  async all(css) {
    const found = await this.post("/elements", { using: "css selector", value: css });
    return found.map((element) => element[ELEMENT]);
  }

  one(css) {
    return eventually(css, async () => (await this.all(css))[0]);
  }

  // The element of that kind with that text.
  named(css, text) {
    return eventually(`${css} "${text}"`, async () => {
      for (const element of await this.all(css)) {
        if ((await this.get(`/element/${element}/text`)).includes(text)) return element;
      }
    });
  }

  // Nothing that axe-core, which is that file, finds wrong.
  async accessible(axe, name) {
    await this.run(readFileSync(axe, "utf8"));
    const found = await this.later(`
      const done = arguments[arguments.length - 1];
      axe.run(document, { runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice"] })
        .then((told) => done(told.violations.map((v) => v.id + ": " + v.nodes.map((n) => n.html.slice(0, 160)).join(" | "))));`);
    assert.deepEqual(found, [], name);
  }

  // No stranger's script has run, nothing came from another host, and the policy had nothing to refuse.
  async harmless(name) {
    assert.equal(await this.run("return window.hit ?? null"), null, name);
    const elsewhere = await this.run(
      "return performance.getEntriesByType('resource').map((e) => e.name).filter((n) => new URL(n).origin !== location.origin)");
    assert.deepEqual(elsewhere, [], name);
    const refused = (await this.logs()).filter((line) => line.message.includes("Content Security Policy"));
    assert.deepEqual(refused, [], name);
  }

  async click(css, text) {
    const element = text === undefined ? await this.one(css) : await this.named(css, text);
    await this.run("arguments[0].scrollIntoView({block: 'center'})", { [ELEMENT]: element });
    await this.post(`/element/${element}/click`);
  }

  async fill(css, text) {
    const element = await this.one(css);
    await this.post(`/element/${element}/clear`);
    await this.post(`/element/${element}/value`, { text });
  }

  async text(css = "main") {
    return this.get(`/element/${await this.one(css)}/text`);
  }

  sees(text, css = "main") {
    return eventually(`"${text}" in ${css}`, async () => (await this.text(css)).includes(text));
  }

  run(script, ...args) {
    return this.post("/execute/sync", { script, args });
  }

  later(script, ...args) {
    return this.post("/execute/async", { script, args });
  }

  async keys(...keys) {
    const actions = keys.flatMap((key) => [{ type: "keyDown", value: key }, { type: "keyUp", value: key }]);
    await this.post("/actions", { actions: [{ type: "key", id: "keyboard", actions }] });
  }

  // Everything is about that frame from here on, until it is left.
  async enterFrame(css) {
    await this.post("/frame", { id: { [ELEMENT]: await this.one(css) } });
  }

  leaveFrame() { return this.post("/frame", { id: null }); }

  accept() { return this.post("/alert/accept"); }

  async logs() {
    return this.post("/se/log", { type: "browser" });
  }

  // The whole page as a picture.
  async picture(folder, name) {
    mkdirSync(folder, { recursive: true });
    const { data } = await this.post("/goog/cdp/execute", {
      cmd: "Page.captureScreenshot", params: { format: "png", captureBeyondViewport: true },
    });
    writeFileSync(join(folder, `${name}.png`), Buffer.from(data, "base64"));
  }
}

export const TAB = "\uE004";
export const ENTER = "\uE007";
