"""Opens a report in headless Chromium, as a reader does, and prints what it saw as JSON; keeps pictures of it.

python read_report.py REPORT.html FOLDER
"""

import base64
import json
import sys
import tempfile
from pathlib import Path

from selenium import webdriver
from selenium.webdriver import ActionChains
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

FLAGS = """--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking
--disable-component-update --disable-sync --hide-scrollbars"""

# The least contrast (WCAG 2.2) of any text that is shown, and of which text. Colours are read as the pixels that
# they paint, for styles may spell them in many ways.
CONTRAST = """
const pixel = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
const painted = (colour) => {
  pixel.clearRect(0, 0, 1, 1);
  pixel.fillStyle = colour;
  pixel.fillRect(0, 0, 1, 1);
  const [r, g, b, a] = pixel.getImageData(0, 0, 1, 1).data;
  return { rgb: [r, g, b], alpha: a / 255 };
};
const over = (top, alpha, below) => top.map((part, i) => part * alpha + below[i] * (1 - alpha));
const light = (rgb) => {
  const [r, g, b] = rgb.map((part) => part / 255).map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
// What is behind an element, from the page up to itself.
const behind = (element) => {
  const below = element.parentElement ? behind(element.parentElement) : [255, 255, 255];
  const { rgb, alpha } = painted(getComputedStyle(element).backgroundColor);
  return over(rgb, alpha * Number(getComputedStyle(element).opacity), below);
};
const opacity = (element) => (element ? Number(getComputedStyle(element).opacity) * opacity(element.parentElement) : 1);
let [least, whose, texts] = [Infinity, "", 0];
for (const element of document.querySelectorAll(arguments[0])) {
  const own = [...element.childNodes].some((node) => node.nodeType === Node.TEXT_NODE && node.data.trim());
  const shown = element.checkVisibility() && element.getClientRects().length;
  if (!own || !shown || element.matches(":disabled, script, style, title, desc")) continue;
  const style = getComputedStyle(element);
  const { rgb, alpha } = painted(element instanceof SVGElement ? style.fill : style.color);
  const ground = behind(element);
  const text = over(rgb, alpha * opacity(element), ground);
  const [dark, bright] = [light(text), light(ground)].sort((a, b) => a - b);
  const contrast = (bright + 0.05) / (dark + 0.05);
  texts++;
  if (contrast < least) [least, whose] = [contrast, `${element.tagName} ${element.className}: ${element.textContent.slice(0, 60)}`];
}
return { least, whose, texts };
"""


def main(report, folder):
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as profile:
        browser = start(profile)
        try:
            print(json.dumps(look(browser, Path(report).resolve().as_uri(), folder)))
        finally:
            browser.quit()


def start(profile):
    options = webdriver.ChromeOptions()
    options.binary_location = "/usr/bin/chromium"
    for flag in FLAGS.split():
        options.add_argument(flag)
    options.add_argument(f"--user-data-dir={profile}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    return webdriver.Chrome(options=options, service=Service("/usr/bin/chromedriver"))


def look(browser, address, folder):
    seen = {"themes": {}, "overflow": {}}
    for theme in ("light", "dark"):
        show(browser, 1280, theme)
        browser.get(address)
        seen["overflow"][f"1280 {theme}"] = width(browser)
        page = {"ground": style(browser, "body", "background-color")}
        for name, which in {"page": "body, body *", "plots": "figure svg text", "flames": "#flame div"}.items():
            page[name] = browser.execute_script(CONTRAST, which)
        picture(browser, folder / f"report-{theme}.png")
        picture(browser, folder / f"report-{theme}-top.png", high=1000)
        page["zoom"] = zoom(browser)
        page["search"] = search(browser, "pricing.py")
        page["found"] = browser.execute_script(CONTRAST, "#flame div")
        picture(browser, folder / f"flames-{theme}.png", "flames")
        page["difference"] = difference(browser)
        page["differing"] = browser.execute_script(CONTRAST, "#flame div")
        picture(browser, folder / f"difference-{theme}.png", "flames")
        click(browser, browser.find_element(By.ID, "theme"))
        page["other ground"] = style(browser, "body", "background-color")
        seen["themes"][theme] = page
    seen["keys"] = keys(browser)
    show(browser, 400, "light")
    browser.get(address)
    seen["overflow"]["400 light"] = width(browser)
    picture(browser, folder / "report-narrow.png")
    messages = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    sent = [message["params"] for message in messages if message["method"] == "Network.requestWillBeSent"]
    # Not those of the page that Chromium itself begins with.
    sent = [request for request in sent if not request["documentURL"].startswith("chrome://")]
    seen["requests"] = [request["request"]["url"] for request in sent]
    seen["console"] = [entry["message"] for entry in browser.get_log("browser")]
    return seen


def show(browser, wide, theme):
    metrics = {"width": wide, "height": 1000, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    feature = {"name": "prefers-color-scheme", "value": theme}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})


def width(browser):
    """How wide what is in the page is, and how wide the page is."""
    return browser.execute_script("return [document.documentElement.scrollWidth, document.documentElement.clientWidth]")


def style(browser, which, name):
    return browser.find_element(By.CSS_SELECTOR, which).value_of_css_property(name)


def picture(browser, path, part=None, high=None):
    """Of the whole page, or of a part of it, from its top on or so high."""
    left, top, wide, all_of_it = browser.execute_script(
        "const part = document.getElementById(arguments[0]) ?? document.documentElement;"
        "const { x, y, width, height } = part.getBoundingClientRect();"
        "return [x + scrollX, y + scrollY, width, height]",
        part,
    )
    margin = 20 if part else 0
    clip = {"x": left - margin, "y": top - margin, "width": wide + 2 * margin, "height": (high or all_of_it) + 2 * margin}
    command = {"captureBeyondViewport": True, "clip": {**clip, "scale": 1}}
    path.write_bytes(base64.b64decode(browser.execute_cdp_cmd("Page.captureScreenshot", command)["data"]))


def boxes(browser):
    """The boxes that are drawn: number, name if it is written, and width of the graph's."""
    return browser.execute_script(
        "const whole = document.getElementById('flame').clientWidth;"
        "return [...document.querySelectorAll('#flame div')].map((box) => ["
        "Number(box.dataset.box), box.textContent, box.getBoundingClientRect().width / whole])"
    )


def zoom(browser):
    before = boxes(browser)
    # One that is neither the whole nor a speck.
    number, name, share = min((box for box in before if box[1] and box[2] < 0.5), key=lambda box: abs(box[2] - 0.2))
    click(browser, browser.find_element(By.CSS_SELECTOR, f"#flame [data-box='{number}']"))
    after = boxes(browser)
    details = browser.find_element(By.ID, "flame-details").text
    contrast = browser.execute_script(CONTRAST, "#flame div")
    click(browser, browser.find_element(By.ID, "flame-reset"))
    return {
        "name": name,
        "before": share,
        "after": next(box[2] for box in after if box[0] == number),
        "widest": max(box[2] for box in after),
        "details": details,
        "contrast": contrast,
        "restored": boxes(browser) == before,
    }


def search(browser, word):
    browser.find_element(By.ID, "flame-search").send_keys(word)
    found = browser.execute_script("return [...document.querySelectorAll('#flame .hit')].map((box) => box.textContent)")
    missed = browser.execute_script(
        "return [...document.querySelectorAll('#flame div:not(.hit)')].map((box) => box.textContent)"
    )
    return {"found": found, "missed": missed, "share": browser.find_element(By.ID, "flame-share").text}


def difference(browser):
    field = browser.find_element(By.ID, "flame-search")
    field.clear()
    field.send_keys(" ")
    choose(browser, "setups", "gthread × 4")
    choose(browser, "kinds", "Difference")
    red, green, blue = (
        browser.execute_script(
            "const box = [...document.querySelectorAll('#flame div')].find((box) => box.textContent.startsWith(arguments[0]));"
            "const pixel = document.createElement('canvas').getContext('2d');"
            "pixel.fillStyle = getComputedStyle(box).backgroundColor; pixel.fillRect(0, 0, 1, 1);"
            "return [...pixel.getImageData(0, 0, 1, 1).data].slice(0, 3)",
            name,
        )
        for name in ("Thread._bootstrap", "all", "Greenlet.run")
    )
    return {
        "caption": browser.find_element(By.ID, "flame-caption").text,
        "details": browser.find_element(By.ID, "flame-details").text,
        "only here": red,
        "all": green,
        "only there": blue,
    }


def choose(browser, group, name):
    buttons = browser.find_elements(By.CSS_SELECTOR, f"#flame-{group} button")
    click(browser, next(button for button in buttons if button.text == name))


def click(browser, element):
    """Where it is in sight, and not below the head that stays at the top."""
    browser.execute_script("arguments[0].scrollIntoView({ block: 'center' })", element)
    element.click()


def keys(browser):
    """What the details name after each key, from the root on."""
    choose(browser, "kinds", "On CPU")
    browser.execute_script("document.getElementById('flame').focus()")
    # The details follow the mouse, too.
    ActionChains(browser).move_to_element(browser.find_element(By.CLASS_NAME, "brand")).perform()
    names = []
    for key in (Keys.ARROW_DOWN, Keys.ARROW_DOWN, Keys.ARROW_UP, Keys.ENTER):
        ActionChains(browser).send_keys(key).perform()
        names.append(browser.find_element(By.ID, "flame-details").text.splitlines()[0])
    return {"names": names, "first": boxes(browser)[0][1]}


main(*sys.argv[1:])
