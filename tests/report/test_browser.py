"""A page in a real browser, on a wide screen and on a phone, in light and in dark.

It takes Debian's `chromium`, and `playwright` and `axe-playwright-python` (which holds axe-core) of
requirements-browser.txt.
"""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from synthetic_study import write_decay_study

from lr_lab.report.making import make_report

WANTS = "install requirements-browser.txt to test pages in a browser"
sync_api = pytest.importorskip("playwright.sync_api", reason=WANTS)
axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason=WANTS)
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
if CHROMIUM is None:
    pytest.skip("no chromium here; install it (apt install chromium) to test pages", allow_module_level=True)

WIDE, PHONE = (1400, 900), (390, 844)
# For colours and labels, and for people who use a keyboard or a screen reader.
STANDARDS = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice"]}


@pytest.fixture(scope="module")
def page_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    outputs = tmp_path_factory.mktemp("outputs")
    write_decay_study(outputs, "decay_mnist", {"seq4_cutoff": 0.97, "seq1_epoch": 0.80}, range(2), epochs=4)
    return make_report("decay_mnist", outputs)[1] / "index.html"


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM)
        yield browser
        browser.close()


@pytest.fixture(scope="module", params=["light", "dark"])
def colours(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module", params=[WIDE, PHONE], ids=["wide", "phone"])
def page(request: pytest.FixtureRequest, browser: Any, page_file: Path, colours: str) -> Iterator[Any]:
    """The page, drawn; what it says on the console and which errors it meets are in `page.faults`."""
    width, height = request.param
    page = browser.new_page(viewport={"width": width, "height": height}, color_scheme=colours)
    page.faults = []
    page.on("console", lambda message: page.faults.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: page.faults.append(str(error)))
    page.goto(page_file.as_uri())
    page.wait_for_function("() => window.Bokeh && Bokeh.documents.some(one => one.is_idle)")
    yield page
    page.close()


def test_question_answer_and_picture_are_on_the_first_screen(page: Any) -> None:
    picture = page.locator(".answer img").bounding_box()
    assert page.locator(".answer .lead").first.bounding_box()["y"] < picture["y"]
    assert picture["height"] > 150
    assert picture["y"] + picture["height"] <= page.viewport_size["height"]


def test_the_page_does_not_scroll_sideways(page: Any) -> None:
    assert page.evaluate("document.documentElement.scrollWidth") <= page.viewport_size["width"]


def test_no_column_of_a_table_is_cut_off(page: Any) -> None:
    cut = "tables => tables.filter(table => table.scrollWidth > table.parentElement.clientWidth).length"
    assert page.locator("table").count() >= 5
    assert page.locator("table").evaluate_all(cut) == 0


def test_the_console_stays_quiet(page: Any) -> None:
    assert page.faults == []


def test_axe_finds_nothing_to_mend(page: Any) -> None:
    found = axe.Axe().run(page, options=STANDARDS).response["violations"]
    faults = [f"{each['id']}: {node['html'][:200]}" for each in found for node in each["nodes"]]
    assert faults == []


def test_a_dark_page_is_dark(page: Any, colours: str) -> None:
    paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
    lightness = sum(map(int, re.findall(r"\d+", paper)[:3])) / 3
    assert (lightness < 40) if colours == "dark" else (lightness > 240)


def test_a_plot_is_no_wider_than_a_sheet_of_paper(page: Any) -> None:
    """A4 at 96 dots to the inch, less what browsers leave free at both sides."""
    assert max(plot.bounding_box()["width"] for plot in page.locator(".plots > div").all()) <= 718


def test_at_most_six_lines_are_on_at_first_and_a_box_switches_one(page: Any) -> None:
    panel = page.locator("[data-plots]").last
    boxes = panel.locator("input")
    assert (boxes.count(), panel.locator("input:checked").count()) == (14, 6)
    visible = """names => Bokeh.documents.flatMap(page => page.roots()).find(plot => plot.name === names[0])
                          .renderers.filter(line => line.visible).length"""
    plots = panel.get_attribute("data-plots").split()
    assert page.evaluate(visible, plots) == 12, "a band and a mean for each line"
    panel.locator("input:not(:checked)").first.check()
    assert page.evaluate(visible, plots) == 14


def test_each_picture_is_told_in_numbers(page: Any) -> None:
    told = page.locator("main img[alt], .spoken")
    assert told.count() == page.locator("main figure").count()
    texts = [one.get_attribute("alt") or one.text_content() for one in told.all()]
    assert len([text for text in texts if re.search(r"\d\.\d", text)]) >= len(texts) - 1, "all but the sequences"


def _column(page: Any, number: int) -> list[float]:
    cells = page.locator(f".sortable >> nth=0 >> tbody tr > :nth-child({number})").all_inner_texts()
    return [float(cell.split()[0]) for cell in cells]


def test_a_table_is_sorted_by_mouse_and_by_keyboard(page: Any) -> None:
    heads = page.locator(".sortable >> nth=0 >> thead th")
    number = next(n for n, text in enumerate(heads.all_inner_texts()) if "validation accuracy" in text)
    best_first = sorted(_column(page, number + 1), reverse=True)
    assert _column(page, number + 1) == best_first
    heads.nth(number).locator("button").click()
    assert heads.nth(number).get_attribute("aria-sort") == "ascending"
    assert _column(page, number + 1) == best_first[::-1]
    heads.nth(number).locator("button").focus()
    page.keyboard.press("Enter")
    assert heads.nth(number).get_attribute("aria-sort") == "descending"
    assert _column(page, number + 1) == best_first
    page.reload()
    page.wait_for_function("() => window.Bokeh && Bokeh.documents.some(one => one.is_idle)")
