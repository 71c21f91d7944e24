// Drives the page of a running collector in a real browser: node drive.cjs ADDRESS FOLDER
// Prints a line a step; what is not as it should be ends it with an error.

const { chromium } = require("playwright-core");

const [address, folder] = process.argv.slice(2);
const PATIENCE = 120_000;

function check(holds, what) {
  if (!holds) throw new Error(what);
  console.log(`holds: ${what}`);
}

/** A page in which nothing may go wrong unseen. */
async function open(browser, options) {
  const context = await browser.newContext(options);
  const page = await context.newPage();
  page.setDefaultTimeout(PATIENCE);
  const wrong = [];
  page.on("console", (message) => { if (message.type() !== "log") wrong.push(`${message.type()}: ${message.text()}`); });
  page.on("pageerror", (error) => wrong.push(error.stack));
  page.on("request", (request) => { if (!request.url().startsWith(address)) wrong.push(`asked ${request.url()}`); });
  return { context, page, wrong };
}

async function noSideways(page, what) {
  const [wide, window] = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
  check(wide <= window, `${what} does not scroll sideways (${wide} of ${window})`);
}

async function desktop(browser) {
  const { context, page, wrong } = await open(browser, { viewport: { width: 1440, height: 900 } });
  await page.goto(`${address}/`);
  await page.locator(".row .name", { hasText: "fra-direct-1" }).waitFor();
  await page.waitForFunction(() => [...document.querySelectorAll(".row .value")].some((value) => /bit\/s/.test(value.textContent)), null, { timeout: PATIENCE });
  await page.locator(".row .name", { hasText: "ams-transit" }).waitFor();
  check(await page.locator(".row").count() >= 4, "all connections are listed, transit among them");
  await page.screenshot({ path: `${folder}/page-list.png` });

  const before = await page.locator("#pulse-text").textContent();
  await page.waitForFunction((before) => document.getElementById("pulse-text").textContent !== before, before, { timeout: PATIENCE });
  check(await page.locator("#pulse.is-live").count() === 1, "the page is told of changes");

  await page.locator("input[type=search]").fill("exchange");
  check(await page.locator(".row").count() === 1, "the filter leaves the exchange");
  await page.locator("input[type=search]").fill("");
  await page.locator("button", { hasText: "By peering" }).click();
  check(await page.locator(".group").count() >= 2, "connections are grouped by peering");
  await page.locator("button", { hasText: "By peering" }).click();

  await page.locator("h1").first().focus().catch(() => {});
  await page.evaluate(() => document.activeElement.blur());
  await page.keyboard.press("j");
  await page.keyboard.press("Enter");
  await page.locator(".charts canvas").nth(1).waitFor();
  check((await page.locator(".detail-head h1").textContent()).length > 3, "keys open a connection");
  await page.screenshot({ path: `${folder}/page-connection.png` });
  await page.locator("button", { hasText: "24 h" }).click();
  await page.waitForFunction(() => document.querySelector(".said").textContent.startsWith("Means and peaks"), null, { timeout: PATIENCE });
  check(true, "the tables are read");
  await page.locator("button", { hasText: "Prefixes" }).click();
  await page.waitForFunction(() => !document.querySelector(".part-body").textContent.includes("Reading"), null, { timeout: PATIENCE });
  await page.keyboard.press("Escape");

  await page.locator(".row .name", { hasText: "fra-direct-1" }).waitFor();
  await page.keyboard.press("w");
  await page.locator(".boxes label", { hasText: "fra-direct-1" }).click();
  await page.locator(".answer td", { hasText: "fra-direct-2" }).first().waitFor();
  check(await page.locator(".answer .holds").count() === 2, "what if: the other holds in both directions");
  await page.locator(".boxes label", { hasText: "fra-direct-2" }).click();
  await page.locator(".answer td", { hasText: "ams-exchange" }).first().waitFor();
  check(page.url().includes("down=fra-direct-2"), "the address tells what is taken as down");
  await page.screenshot({ path: `${folder}/page-what-if.png` });

  await page.keyboard.press("Escape");
  await page.locator("nav a", { hasText: "Exporters" }).click();
  await page.locator(".exporters td b").first().waitFor();
  check((await page.locator(".ledger").textContent()).includes("records"), "the balances are told");
  await page.screenshot({ path: `${folder}/page-exporters.png` });
  await page.locator("nav a", { hasText: "Failovers" }).click();
  await page.locator("h1", { hasText: "Failovers" }).waitFor();
  check(wrong.length === 0, `nothing went wrong on the way: ${wrong.join("\n")}`);
  await context.close();
}

async function phone(browser) {
  const { context, page, wrong } = await open(browser, { viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true, deviceScaleFactor: 2, colorScheme: "dark" });
  await page.goto(`${address}/`);
  await page.locator(".row .name", { hasText: "fra-direct-1" }).waitFor();
  await noSideways(page, "the list on a phone");
  await page.screenshot({ path: `${folder}/page-phone-dark.png` });
  for (const [hash, waitFor] of [["#/connection/fra-direct-1", ".charts canvas"], ["#/what-if?down=fra-direct-1", ".answer h2"], ["#/exporters", ".exporters td"]]) {
    await page.goto(`${address}/${hash}`);
    await page.locator(waitFor).first().waitFor();
    await noSideways(page, `${hash} on a phone`);
  }
  check(wrong.length === 0, `nothing went wrong on a phone: ${wrong.join("\n")}`);
  await context.close();
}

(async () => {
  const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ["--no-sandbox"] });
  try {
    await desktop(browser);
    await phone(browser);
  } finally {
    await browser.close();
  }
})().catch((error) => {
  console.error(error.stack);
  process.exitCode = 1;
});
