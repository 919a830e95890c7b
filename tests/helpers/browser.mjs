// Chromium for tests, from the npm package that carries it together with its shared libraries: nothing of the machine's
// own is used but the C library.  Reads one JSON request for each line of stdin and answers with one line of JSON.
import { createReadStream, createWriteStream } from "node:fs";
import { access, mkdir, mkdtemp, readFile, rename, rm, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { pipeline } from "node:stream/promises";
import { pathToFileURL } from "node:url";
import { createBrotliDecompress } from "node:zlib";

// Modules are looked up from where npm put them, also when this file is linked elsewhere.
const need = createRequire(join(process.argv[2], "package.json"));
const PACKED = join(dirname(need.resolve("@sparticuz/chromium")), "..", "bin");
const OPTIONS = [
  "--no-sandbox", // a container's root may not make one, and the pages are our own
  "--no-zygote",
  "--disable-dev-shm-usage", // a container's /dev/shm is small
  "--disable-gpu",
  "--font-render-hinting=none",
  "--no-default-browser-check",
  "--no-pings",
  "--disable-domain-reliability",
  "--disable-background-networking",
];
const BROAD = { width: 1280, height: 900 };
const NARROW = { width: 420, height: 800 };

const isThere = (path) => access(path).then(() => true, () => false);
const unpacked = (name) => createReadStream(join(PACKED, name)).pipe(createBrotliDecompress());

/** Unpack the browser once for all tests; two that begin together do not see each other's half. */
async function unpack(home) {
  if (await isThere(home)) return;
  await mkdir(dirname(home), { recursive: true });
  const made = await mkdtemp(`${home}.`);
  const { extract } = need("tar-fs");
  await pipeline(unpacked("chromium.br"), createWriteStream(join(made, "chromium"), { mode: 0o755 }));
  await pipeline(unpacked("al2023.tar.br"), extract(made));
  await pipeline(unpacked("fonts.tar.br"), extract(join(made, "fonts")));
  const fonts = `<dir>${join(home, "fonts", "fonts")}</dir><cachedir>${join(home, "fonts-cache")}</cachedir>`;
  await writeFile(join(made, "fonts.conf"), `<?xml version="1.0"?><fontconfig>${fonts}</fontconfig>`);
  await rename(made, home).catch(() => rm(made, { recursive: true })); // another one was faster
}

async function start(home) {
  await unpack(home);
  const puppeteer = await import(pathToFileURL(need.resolve("puppeteer-core")).href);
  return await (puppeteer.default ?? puppeteer).launch({
    executablePath: join(home, "chromium"),
    args: OPTIONS,
    headless: "shell",
    pipe: true, // no port
    env: { HOME: home, LD_LIBRARY_PATH: join(home, "lib"), FONTCONFIG_FILE: join(home, "fonts.conf"), LANG: "C.UTF-8" },
  });
}

/** Everything that a page says and asks for. */
async function opened(browser, file, script = true) {
  const page = await browser.newPage();
  const heard = { console: [], requests: [] };
  page.on("console", (message) => heard.console.push(`${message.type()}: ${message.text()}`));
  page.on("pageerror", (error) => heard.console.push(`error: ${error.message}`));
  page.on("request", (request) => heard.requests.push(request.url().slice(0, 200)));
  await page.setJavaScriptEnabled(script);
  await page.setViewport(BROAD);
  await page.goto(pathToFileURL(file).href, { waitUntil: "load" });
  return { page, heard };
}

const colours = (page, scheme) => page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: scheme }]);
const unfold = (page) =>
  page.evaluate(() => {
    document.querySelectorAll("details").forEach((one) => (one.open = true));
    document.querySelector("#verdict-all")?.click();
  });

/** What axe finds: rule, and the first elements with their reason; `unsure`: contrasts that it cannot compute, too. */
async function broken(page, unsure) {
  const found = await page.evaluate(() => axe.run(document, { resultTypes: ["violations", "incomplete"] }));
  const open = found.incomplete.filter((rule) => unsure && rule.id === "color-contrast");
  const nodes = open.flatMap((rule) => rule.nodes).filter((node) => node.any[0]?.data?.messageKey !== "nonBmp");
  const all = [...found.violations, ...(nodes.length ? [{ id: "contrast not to be computed", nodes }] : [])];
  return all.map((rule) => `${rule.id}: ${rule.nodes.slice(0, 3).map((node) => `${node.html.slice(0, 160)} ${node.any.map((one) => one.message).join("; ")}`).join(" | ")}`);
}

/** How far the page is broader than the window, and which elements make it so. */
const overflow = (page) =>
  page.evaluate(() => {
    const room = document.documentElement.clientWidth;
    const over = document.documentElement.scrollWidth - room;
    if (over <= 0) return [];
    const wide = [...document.body.querySelectorAll("*")].filter((one) => one.getBoundingClientRect().right > room + 1);
    return [`${over} pixels`, ...wide.slice(0, 5).map((one) => one.outerHTML.slice(0, 160))];
  });

/** Where Tab goes, stop by stop: name, and whether the focus can be seen. */
async function stops(page, most) {
  const found = [];
  for (let count = 0; count < most; count += 1) {
    await page.keyboard.press("Tab");
    const stop = await page.evaluate(() => {
      const one = document.activeElement;
      if (!one || one === document.body) return null;
      const shown = one.matches("input") && one.labels?.length ? one.labels[0] : one;
      const style = getComputedStyle(shown);
      const place = one.getBoundingClientRect();
      return {
        tag: one.tagName.toLowerCase(),
        id: one.id,
        name: (one.labels?.length ? one.labels[0] : one).textContent.trim().slice(0, 80),
        href: one.getAttribute("href") ?? "",
        seen: style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2,
        top: one.closest(".sides") ? -1 : Math.round(place.top + scrollY), // two columns are read one after the other
      };
    });
    if (!stop) break;
    found.push(stop);
  }
  return found;
}

const RULES = [["broad", "light"], ["broad", "dark"], ["narrow", "light"]];

async function look(browser, { file, most = 60, rules = RULES }) {
  const { page, heard } = await opened(browser, file);
  const text = await page.evaluate(() => document.body.innerText);
  const tabs = await stops(page, most);
  const wide = {};
  const faults = {};
  await page.setViewport(NARROW);
  wide.folded = await overflow(page);
  await unfold(page);
  wide.unfolded = await overflow(page);
  await page.evaluate(await readFile(need.resolve("axe-core/axe.min.js"), "utf8"));
  for (const [size, scheme] of rules) {
    await page.setViewport(size === "narrow" ? NARROW : BROAD);
    await colours(page, scheme);
    faults[`${size}, ${scheme}`] = await broken(page, size === "broad");
  }
  await page.close();
  const silent = await opened(browser, file, false);
  const same = (await silent.page.evaluate(() => document.body.innerText)) === text;
  await silent.page.close();
  return { text, ...heard, tabs, faults, wide, same };
}

/** Do things on a page without script and say what came of each: keys pressed, expressions evaluated. */
async function drive(browser, { file, steps }) {
  const { page, heard } = await opened(browser, file, false);
  const said = [];
  for (const [verb, word] of steps) {
    if (verb === "press") await page.keyboard.press(word);
    else if (verb === "click") await page.click(word);
    else if (verb === "focus") await page.focus(word);
    else if (verb === "ask") said.push(await page.evaluate(word));
    else throw new Error(`unknown step ${verb}`);
  }
  await page.close();
  return { said, ...heard };
}

async function picture(browser, { file, to, scheme = "light", width = BROAD.width, unfolded = false }) {
  const { page } = await opened(browser, file);
  await colours(page, scheme);
  await page.setViewport({ width, height: 900 });
  if (unfolded) await unfold(page);
  await page.screenshot({ path: to, fullPage: true });
  await page.close();
  return {};
}

const browser = await start(process.argv[3]);
const answers = { look, drive, picture };
process.stdout.write(`${JSON.stringify({ version: await browser.version() })}\n`);
for await (const line of createInterface({ input: process.stdin })) {
  const request = JSON.parse(line);
  const answer = await answers[request.do](browser, request).catch((error) => ({ error: error.stack }));
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}
await browser.close();
