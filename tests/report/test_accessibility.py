"""The pages in an installed Chromium: what people see on a screen of any size, and use by keyboard."""

from collections.abc import Callable

import pytest

from sr.report.page import write_report
from tests.support.browser import Browser, axe_findings
from tests.support.run_folders import RunFolders

pytestmark = pytest.mark.slow

PHONE, LAPTOP = {"width": 390, "height": 844}, {"width": 1366, "height": 768}


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Address of a report on configurations with long names, each trained three times."""
    folders = RunFolders(tmp_path_factory.mktemp("accessible") / "runs")
    for model, gain in (("vdsr", 1.0), ("resblock", 0.9), ("espcn", 0.5), ("espcn-origin", -8.0)):
        for seed, shift in enumerate((-0.01, 0.0, 0.01)):
            gains = [gain + shift + more for more in (0.0, 0.1, 0.2, -0.1)]
            name = f"{model}_charbonnier_adam-with-long-options_{seed}"
            folders(name, gains, folds=None, seed=seed, output_gray=110, lpips=0.3)
    report = write_report([folders.root])
    return report.files[0].as_uri()


Opened = Callable[[dict[str, int], str], Browser]


@pytest.fixture
def opened(browser: Browser, report: str) -> Opened:
    """Opens the report on a screen of a size, in light or dark mode."""

    def open_page(size: dict[str, int], scheme: str = "light") -> Browser:
        browser.page.set_viewport_size(size)
        browser.page.emulate_media(color_scheme=scheme)
        browser.page.goto(report)
        return browser

    return open_page


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [PHONE, LAPTOP], ids=["phone", "laptop"])
def test_axe_finds_nothing_serious_in_a_report(opened: Opened, size: dict[str, int], scheme: str) -> None:
    page = opened(size, scheme).page
    page.evaluate("for (const details of document.querySelectorAll('details')) details.open = true")
    assert axe_findings(page) == []


def test_the_gain_is_on_the_screen_of_a_phone_and_names_stay_there(opened: Opened) -> None:
    page = opened(PHONE, "light").page
    assert page.evaluate("document.documentElement.scrollWidth") == PHONE["width"]
    gain = page.locator("table.leaderboard tbody td.key").first.bounding_box()
    assert gain["x"] + gain["width"] <= PHONE["width"]
    table = page.locator(".wide:has(table.leaderboard)").first
    table.evaluate("element => element.scrollLeft = 300")
    name = page.locator("table.leaderboard tbody th.name").first.bounding_box()
    assert name["x"] == pytest.approx(table.bounding_box()["x"])


def test_the_key_columns_fit_a_laptop(opened: Opened) -> None:
    page = opened(LAPTOP, "light").page
    table = page.locator("table.leaderboard").first
    for heading in ("configuration", "gain dB", "verdict", "PSNR dB", "SSIM", "to the best"):
        box = table.locator("thead th", has_text=heading).first.bounding_box()
        assert box["x"] + box["width"] <= LAPTOP["width"]


def test_figures_follow_the_colours_of_the_page(opened: Opened) -> None:
    colours = {}
    for scheme in ("light", "dark"):
        page = opened(LAPTOP, scheme).page
        text = page.locator(".plot svg text").first
        background = page.locator(".plot svg path").first
        colours[scheme] = [
            element.evaluate("element => getComputedStyle(element).fill") for element in (text, background)
        ]
    assert colours["light"] == ["rgb(28, 30, 33)", "rgb(255, 255, 255)"]
    assert colours["dark"] == ["rgb(228, 230, 234)", "rgb(22, 24, 28)"]


def test_figures_are_as_wide_as_the_page_or_side_by_side(opened: Opened) -> None:
    page = opened(LAPTOP, "light").page
    main = page.locator("main").bounding_box()
    boxes = [figure.bounding_box() for figure in page.locator(".plot").all()]
    assert boxes[0]["y"] == boxes[1]["y"]
    assert boxes[1]["x"] + boxes[1]["width"] == pytest.approx(main["x"] + main["width"], abs=1)
    assert boxes[-1]["width"] == pytest.approx(main["width"], abs=1)


def test_a_link_opens_its_section(opened: Opened) -> None:
    page = opened(LAPTOP, "light").page
    section = page.locator("#commands")
    assert section.get_attribute("open") is None
    page.locator(".contents a", has_text="How to repeat each run").click()
    page.wait_for_function("document.querySelector('#commands').open")
    section.evaluate("element => element.open = false")
    page.locator(".contents a", has_text="How to repeat each run").click()
    page.wait_for_function("document.querySelector('#commands').open")
    page.goto("about:blank")
    opened(LAPTOP, "light")
    page.goto(page.url + "#s1-variation")
    page.wait_for_function("document.querySelector('#s1-variation').open")


def test_any_two_crops_are_compared_by_keyboard(opened: Opened) -> None:
    page = opened(LAPTOP, "light").page
    compare = page.locator(".compare").first
    left, right, divider = (compare.locator(css) for css in ("select.left", "select.right", "input"))
    labels = left.locator("option").all_text_contents()
    assert labels[0] == "input"
    assert labels[-1] == "target"
    right.select_option("target")
    crops = page.locator(".crops").first.locator(".zoom:not(.error) img")
    assert compare.locator(".under").get_attribute("src") == crops.last.get_attribute("src")
    assert compare.locator(".over").get_attribute("src") == crops.first.get_attribute("src")
    divider.focus()
    page.keyboard.press("ArrowRight")
    assert divider.get_attribute("aria-valuetext") == "51 % input, the rest target"
    assert "49%" in compare.locator(".over").evaluate("element => getComputedStyle(element).clipPath")


def test_a_click_enlarges_a_crop_and_arrows_step_through_the_others(opened: Opened) -> None:
    page = opened(LAPTOP, "light").page
    crops = page.locator(".crops").first.locator(".zoom:not(.error)")
    crops.first.click()
    dialog = page.locator("dialog.enlarged")
    assert dialog.locator(".caption").text_content() == "input"
    shown = dialog.locator("img")
    assert shown.bounding_box()["width"] > 2 * crops.first.bounding_box()["width"]
    page.keyboard.press("ArrowLeft")
    assert dialog.locator(".caption").text_content() == "target"
    page.keyboard.press("Escape")
    assert not dialog.is_visible()


def test_a_print_is_light_and_shows_every_section(opened: Opened) -> None:
    page = opened(LAPTOP, "dark").page
    page.emulate_media(media="print", color_scheme="dark")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert page.locator("details:not([open])").count() == 0
    assert not page.locator(".contents").is_visible()
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert page.locator("details:not([open])").count() > 0
