"""The page in a real browser, over real services: every view's main path, whatever the content.

Needs an installed Chromium, as `test_report_browser.py` does.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from tests.e2e.browser import Opened
from tests.e2e.page_services import ANSWERS, ATTACK, DOCUMENTS, HOSTILE_NAME, Engine, serve_page

QUESTION = "What do bees make out of nectar?"
STATIC = Path(__file__).parents[2] / "services" / "gateway" / "page" / "static"
BUDGET_BYTES = 100_000
expect.set_options(timeout=30_000)

SEEN = """(element) => {
  const { left, top, width, height } = element.getBoundingClientRect();
  return element.contains(document.elementFromPoint(left + width / 2, top + height / 2));
}"""
"""Whether the middle of an element is really seen: neither cut off nor covered."""


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Engine]]:
    with serve_page(tmp_path_factory.mktemp("page")) as served:
        yield served


@pytest.fixture
def opened(browser: Browser, served: tuple[str, Engine]) -> Iterator[Opened]:
    """The page; at the end it must have written nothing to the console, and asked no other origin."""
    window = Opened(browser, f"{served[0]}/", 1280)
    yield window
    assert window.said == []
    assert {url.split("/", 3)[2] for url in window.requests} == {served[0].removeprefix("http://")}
    window.context.close()


def go(page: Page, view: str) -> None:
    page.evaluate("view => { location.hash = view; }", f"#/{view}")
    expect(page.locator("h1")).to_be_visible()


def begin(page: Page, question: str, model: str) -> None:
    expect(page.locator("#model option").first).to_be_attached()
    page.select_option("#model", model)
    page.fill("#question", question)
    page.keyboard.press("Enter")


def ask(page: Page, question: str, model: str = "plain") -> None:
    begin(page, question, model)
    expect(page.locator(".turn").first.get_by_role("button", name="Copy as curl")).to_be_visible()


def test_an_answer_its_citation_and_the_words_in_their_place(opened: Opened) -> None:
    page = opened.page
    ask(page, QUESTION)
    turn = page.locator(".turn").first
    expect(turn.locator(".answer p > strong")).to_have_text("nectar")
    expect(turn.locator(".answer li")).to_have_count(2)
    assert "[1]" not in turn.locator(".answer").inner_text()
    pill = turn.locator(".pill").first
    pill.focus()
    expect(pill.locator(".tip")).to_be_visible()
    assert pill.locator(".tip").evaluate(SEEN)
    page.keyboard.press("Enter")
    # the document begins with a character of two UTF-16 units: positions count characters
    expect(page.locator("dialog mark")).to_contain_text(
        re.compile(r"^(🍯 )?Bees make honey out of nectar\.$")
    )
    page.keyboard.press("Escape")
    expect(page.locator("dialog")).to_have_count(0)
    expect(turn.locator(".waterfall .stage .name")).to_contain_text(["embedding", "retrieval", "first token"])
    page.reload()
    expect(page.locator(".turn .pill").first).to_be_visible()
    expect(page.locator("#question")).to_have_value(QUESTION)


def test_sentences_are_checked_once_the_answer_is_there_where_that_is_asked(opened: Opened) -> None:
    page = opened.page
    ask(page, QUESTION)
    turn = page.locator(".turn").first
    expect(turn.locator(".answer .verdict.supported")).to_have_count(1)
    expect(turn.locator(".answer .verdict.unsupported")).to_have_count(2)
    expect(turn).to_contain_text("1 of 3 claims supported, 2 unsupported")
    assert turn.locator(".answer p").first.inner_text().startswith("Bees make honey out of nectar.✓")
    page.get_by_text("More", exact=True).click()
    page.get_by_label("check the answer's sentences").uncheck()
    ask(page, QUESTION)
    expect(page.locator(".turn")).to_have_count(2)
    assert "check=0" in page.url
    assert page.locator(".turn").first.locator(".answer .verdict").count() == 0


def test_a_request_is_copied_without_the_key(opened: Opened) -> None:
    page = opened.page
    page.evaluate("sessionStorage.setItem('ragline-key', 'rl_secret')")
    ask(page, QUESTION)
    page.evaluate("navigator.clipboard.writeText = async (text) => { window.copied = text; }")
    page.get_by_role("button", name="Copy as curl").click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    copied = page.evaluate("copied")
    assert '-H "Authorization: Bearer $RAGLINE_API_KEY"' in copied
    assert "secret" not in copied


def test_thinking_is_open_while_it_streams_and_folded_after(
    opened: Opened, served: tuple[str, Engine]
) -> None:
    page, engine = opened.page, served[1]
    engine.may_end.clear()
    try:
        begin(page, QUESTION, "thinker")
        expect(page.locator(".turn details[open] .thoughts")).to_contain_text("Nectar, so honey.")
        expect(page.locator(".turn summary").first).to_contain_text("Thinking")
    finally:
        engine.may_end.set()
    expect(page.locator(".turn .answer")).to_contain_text("Bees make honey out of nectar.")
    expect(page.locator(".turn summary").first).to_contain_text("Thought")
    expect(page.locator(".turn .thoughts")).not_to_be_visible()
    assert "Nectar, so" not in page.locator(".turn .answer").inner_text()


def test_an_answer_that_breaks_off_is_not_shown_as_whole(opened: Opened, served: tuple[str, Engine]) -> None:
    page, engine = opened.page, served[1]
    engine.may_end.clear()
    try:
        begin(page, QUESTION, "broken")
        expect(page.locator(".turn .answer")).to_contain_text("Bees make")
    finally:
        engine.may_end.set()
    expect(page.locator(".turn .note.error")).to_be_visible()
    expect(page.locator(".turn")).to_contain_text("not a whole answer")
    assert page.get_by_role("button", name="Copy as Markdown").count() == 0


def test_stop_ends_an_answer_and_says_so(opened: Opened, served: tuple[str, Engine]) -> None:
    page, engine = opened.page, served[1]
    engine.may_end.clear()
    try:
        begin(page, QUESTION, "plain")
        expect(page.locator(".turn .answer")).to_contain_text("Bees make honey")
        page.get_by_role("button", name="Stop").click()
        expect(page.locator(".turn")).to_contain_text("Stopped: what is shown is not the whole.")
    finally:
        engine.may_end.set()


def test_the_same_question_to_another_model(opened: Opened) -> None:
    page = opened.page
    ask(page, QUESTION)
    page.get_by_role("button", name="Ask thinker").click()
    expect(page.locator(".turn")).to_have_count(2)
    expect(page.locator(".turn").first.locator(".answer")).to_contain_text("Bees make honey out of nectar.")


def test_columns_answer_from_one_context_and_their_sentences_are_judged(opened: Opened) -> None:
    page = opened.page
    go(page, "compare")
    page.fill("#question", QUESTION)
    page.fill("#arms", "plain, thinker")
    page.get_by_role("button", name="Compare", exact=True).click()
    rows = page.locator("table tbody tr")
    expect(rows).to_have_count(2)
    expect(page.locator(".column")).to_have_count(2)
    expect(page.locator(".column .sentences .sentence").first).to_be_visible()
    expect(page.get_by_text("The frozen context")).to_be_visible()
    # what an arm came to is said once, and its thinking holds no sign twice
    assert [foot.count("unsupported") for foot in page.locator(".column > .place").all_inner_texts()] == [
        1,
        1,
    ]
    assert page.locator(".column .thoughts").last.text_content() == "Nectar, so honey.✓"
    expect(page.locator(".tag.good", has_text="cited by")).to_be_visible()
    assert "arms=plain" in page.url
    lanes = page.get_by_role("group", name="The race").locator(".stage .name").all_inner_texts()
    assert lanes == ["plain", "thinker"]
    assert page.evaluate("[...document.querySelectorAll('.bar')].every((bar) => bar.offsetWidth > 0)")


def test_a_blind_vote_tells_nothing_before_and_everything_after(
    opened: Opened, served: tuple[str, Engine]
) -> None:
    page, url = opened.page, served[0]
    go(page, f"compare?q={QUESTION}&arms=plain,thinker&blind=1")
    page.get_by_role("button", name="Compare", exact=True).click()
    ballot = page.get_by_role("region", name="Vote")
    expect(ballot).to_be_visible()
    shown = page.get_by_role("region", name="Comparison").inner_text()
    assert not re.search(r"plain|thinker|Thought|supported|TTFT", shown)
    assert page.locator(".column h3").all_inner_texts() == ["A", "B"]
    page.get_by_label("Why").fill("it says more")
    ballot.get_by_role("button", name="B", exact=True).click()
    expect(page.locator("table tbody tr")).to_have_count(2)
    names = page.locator(".column h3").all_inner_texts()
    assert sorted(names) == ["plain", "thinker"]
    expect(page.locator(".column .sentences .sentence").first).to_be_visible()
    kept = httpx.get(f"{url}/v1/feedback").json()["feedback"][-1]
    assert [answer["arm"] for answer in kept["answers"]] == names
    assert (kept["choice"], kept["blind"], kept["why"]) == (1, True, "it says more")
    assert kept["person"].startswith("page-")


def test_a_thumb_is_kept(opened: Opened, served: tuple[str, Engine]) -> None:
    page, url = opened.page, served[0]
    ask(page, QUESTION)
    page.get_by_role("button", name="Thumbs down").click()
    expect(page.locator(".turn")).to_contain_text("Kept: thumbs down.")
    kept = httpx.get(f"{url}/v1/feedback").json()["feedback"][-1]
    assert (kept["choice"], kept["answers"][0]["arm"]) == ("down", "plain")


def test_an_arm_that_fails_fails_alone(opened: Opened) -> None:
    page = opened.page
    go(page, f"compare?q={QUESTION}&arms=broken,plain")
    page.get_by_role("button", name="Compare", exact=True).click()
    expect(page.locator("table tbody tr")).to_have_count(2)
    expect(page.locator(".column").first.locator(".note.error")).to_be_visible()
    expect(page.locator("table tbody tr").first).to_contain_text("failed")
    expect(page.locator(".column").last).to_contain_text("Bees make honey")


def test_a_file_is_brought_seen_searched_and_deleted(opened: Opened, tmp_path: Path) -> None:
    page = opened.page
    go(page, "documents")
    (tmp_path / "wax.md").write_text("# Wax\n\nCombs are built of wax.\n\n# More\n\nMore about combs.\n")
    (tmp_path / "empty.pdf").write_bytes(b"no pdf")
    page.set_input_files("#files", [tmp_path / "wax.md", tmp_path / "empty.pdf"])
    expect(page.get_by_role("heading", name="1 file there, 1 failed")).to_be_visible()
    failed = page.locator(".files li", has_text="empty.pdf")
    expect(failed.locator(".tag.bad")).to_have_text("failed")
    failed.get_by_role("button", name="Bring empty.pdf again").click()
    expect(page.get_by_role("heading", name="0 files there, 1 failed")).to_be_visible()
    page.locator("#documents button", has_text="wax.md").click()
    expect(page.locator("dialog .document").first).to_contain_text("Combs are built of wax.")
    page.keyboard.press("Escape")

    (tmp_path / "newer.md").write_text("# Wax\n\nCombs are built of newer wax.\n")
    with page.expect_file_chooser() as chosen:
        page.get_by_role("button", name="Replace wax.md").click()
    chosen.value.set_files(tmp_path / "empty.pdf")
    expect(page.locator(".note.error")).to_contain_text("choose a file that ends in .md")
    with page.expect_file_chooser() as chosen:
        page.get_by_role("button", name="Replace wax.md").click()
    chosen.value.set_files(tmp_path / "newer.md")
    expect(page.get_by_role("heading", name="1 file there", exact=True)).to_be_visible()
    page.locator("#documents button", has_text="wax.md").first.click()
    expect(page.locator("dialog .document")).to_have_count(1)
    expect(page.locator("dialog .document")).to_contain_text("newer wax")
    page.keyboard.press("Escape")

    go(page, "search?q=Combs of wax")
    expect(page.locator(".list li", has_text="wax.md").first).to_contain_text("meaning")

    go(page, "documents")
    page.fill("#filter", "wax")
    expect(page.locator("#documents li")).to_have_count(1)
    page.get_by_role("button", name="Delete wax.md").click()
    page.get_by_role("button", name="Keep").click()
    expect(page.locator("#documents li")).to_have_count(1)
    page.get_by_role("button", name="Delete wax.md").click()
    page.locator("dialog").get_by_role("button", name="Delete").click()
    expect(page.locator("#documents li")).to_have_count(0)


def test_from_the_address_to_a_cited_answer_from_ones_own_file_in_four_clicks(
    opened: Opened, served: tuple[str, Engine], tmp_path: Path
) -> None:
    page = opened.page
    page.evaluate(
        "window.clicks = 0; addEventListener('click', (event) => (clicks += event.isTrusted ? 1 : 0), true)"
    )
    (tmp_path / "hive.md").write_text("# Hive\n\nBees make honey out of nectar, in the hive of Brest.\n")
    page.get_by_role("link", name="Documents").click()
    with page.expect_file_chooser() as chosen:
        page.get_by_role("button", name="Choose files").click()
    chosen.value.set_files(tmp_path / "hive.md")
    page.get_by_role("link", name="Ask about it").click()
    expect(page.locator("#question")).to_be_focused()
    page.keyboard.type("What do the bees of the hive of Brest make out of nectar?")
    page.keyboard.press("Enter")
    page.locator(".turn .pill").first.click()
    expect(page.locator("dialog")).to_contain_text("in the hive of Brest")
    assert page.evaluate("clicks") == 4
    page.keyboard.press("Escape")
    listed = httpx.get(f"{served[0]}/v1/documents").json()["documents"]
    brought = next(document["id"] for document in listed if document["name"] == "hive.md")
    httpx.delete(f"{served[0]}/v1/documents/{brought}").raise_for_status()


def test_the_models_and_how_to_swap_them(opened: Opened) -> None:
    page = opened.page
    go(page, "models")
    expect(page.locator("section.turn")).to_have_count(5)
    expect(page.get_by_text("LLM_BACKEND=thinker ragline restart generation")).to_be_visible()
    go(page, "ask")
    ask(page, QUESTION)
    go(page, "models")
    expect(page.get_by_role("region", name="plain")).to_contain_text(
        re.compile(r"median .*s, the slowest .*s, \d+ answer")
    )


def test_hostile_content_is_text(opened: Opened) -> None:
    page = opened.page
    ask(page, f"What do attackers write? {ATTACK}", "hostile")
    answer = page.locator(".turn .answer")
    expect(answer).to_contain_text("<script>alert(2)</script>")
    go(page, "documents")
    expect(page.locator("#documents")).to_contain_text(HOSTILE_NAME)
    page.locator("#documents button", has_text="evil").first.click()
    expect(page.locator("dialog .document").first).to_contain_text("onerror")
    page.keyboard.press("Escape")
    go(page, "compare")
    page.fill("#question", "What do attackers write?")
    page.fill("#arms", "hostile")
    page.get_by_role("button", name="Compare", exact=True).click()
    expect(page.locator("table tbody tr")).to_have_count(1)
    assert (
        page.evaluate(
            "document.querySelectorAll('main img, main svg, main script, main b, main iframe').length"
        )
        == 0
    )
    assert page.evaluate(
        "[...document.querySelectorAll('a')].every((a) => /^(https?:|#)/.test(a.getAttribute('href')))"
    )


def test_text_from_right_to_left_reads_so(opened: Opened) -> None:
    page = opened.page
    go(page, "documents")
    page.locator("#documents button", has_text="rtl.md").click()
    shown = page.locator("dialog .document").first
    expect(shown).to_contain_text("דבש")
    assert shown.evaluate("(element) => getComputedStyle(element).direction") == "rtl"


def test_a_long_answer_costs_the_page_little(opened: Opened) -> None:
    """Under 1 ms of the page's own processor time for each part that is streamed."""
    page = opened.page
    go(page, "ask?check=0")  # of so many sentences the gateway would take a while
    expect(page.locator("#model option").first).to_be_attached()
    session = opened.context.new_cdp_session(page)
    session.send("Performance.enable", {"timeDomain": "threadTicks"})

    def busy() -> float:
        metrics = session.send("Performance.getMetrics")["metrics"]
        return float(next(metric["value"] for metric in metrics if metric["name"] == "TaskDuration"))

    before = busy()
    ask(page, QUESTION, "long")
    assert busy() - before < 1e-3 * len(ANSWERS["long"])
    assert len(page.locator(".turn .answer").inner_text()) > 90_000


@pytest.mark.parametrize(("width", "scheme"), [(390, "dark"), (1280, "light")])
def test_every_view_fits_the_window_and_has_no_serious_fault_of_access(
    browser: Browser, served: tuple[str, Engine], width: int, scheme: str
) -> None:
    found = find_spec("axe_playwright_python")
    assert found is not None
    assert found.origin is not None
    window = Opened(browser, f"{served[0]}/", width, color_scheme=scheme)
    page = window.page
    ask(page, QUESTION, "thinker")
    page.locator(".turn .pill").first.focus()
    tip = page.locator(".turn .tip").first
    expect(tip).to_be_visible()
    box = tip.bounding_box()
    assert box is not None
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= width
    serious = []
    rules = (Path(found.origin).parent / "axe.min.js").read_text()
    for view in ("ask", "compare", "documents", "search?q=honey", "models"):
        go(page, view)
        page.wait_for_load_state("networkidle")
        assert page.evaluate("document.documentElement.scrollWidth") <= width, view
        if not page.evaluate("'axe' in window"):  # a view is not another document
            page.evaluate(rules)
        report = page.evaluate("axe.run()")
        serious += [
            (view, violation["id"], [node["target"] for node in violation["nodes"][:3]])
            for violation in report["violations"]
            if violation["impact"] in {"serious", "critical"}
        ]
    assert serious == []
    window.context.close()


def test_by_keyboard_alone(opened: Opened) -> None:
    page = opened.page
    expect(page.locator("#model option").first).to_be_attached()
    expect(page.locator("#question")).to_be_focused()
    for _ in range(6):  # back over the key, Models, Runs, Search and Documents
        page.keyboard.press("Shift+Tab")
    expect(page.locator("nav a", has_text="Compare")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("h1")).to_have_text("Compare")
    page.keyboard.type(QUESTION)
    page.keyboard.press("Tab")
    page.keyboard.type("plain")
    page.keyboard.press("Enter")
    expect(page.locator("table tbody tr")).to_have_count(1)


def test_a_gateway_that_is_busy_or_down_is_said(opened: Opened) -> None:
    page = opened.page
    go(page, "search")
    page.route(
        "**/v1/search",
        lambda route: route.fulfill(
            status=429,
            headers={"retry-after": "7"},
            json={"error": {"message": "too many", "code": "rate_limited"}},
        ),
    )
    page.fill("#question", "honey")
    page.keyboard.press("Enter")
    expect(page.locator(".note.error")).to_contain_text("too many Try again in 7 s.")
    page.route("**/v1/search", lambda route: route.abort())
    page.keyboard.press("Enter")
    expect(page.locator(".note.error")).to_contain_text("does not answer")
    opened.said.clear()  # the browser's own lines about the two refused requests


def test_a_key_is_asked_for_and_kept_for_the_session(opened: Opened) -> None:
    page = opened.page
    sent: list[str | None] = []

    def refuse(route: object) -> None:
        sent.append(route.request.headers.get("authorization"))  # type: ignore[attr-defined]
        if sent[-1]:
            route.continue_()  # type: ignore[attr-defined]
        else:
            route.fulfill(status=401, json={"error": {"message": "no key"}})  # type: ignore[attr-defined]

    page.route("**/v1/search", refuse)
    go(page, "search?q=honey")
    expect(page.locator("dialog")).to_contain_text("no key")
    page.fill("#key-input", "secret")
    page.keyboard.press("Enter")
    expect(page.locator(".list li").first).to_be_visible()
    assert sent[-1] == "Bearer secret"
    assert page.evaluate("JSON.stringify(localStorage)") == "{}"
    opened.said.clear()  # the browser's own line about the 401


def test_what_the_page_is_made_of(served: tuple[str, Engine]) -> None:
    """It is small, nothing of it comes from elsewhere, and the policy lets nothing else run."""
    url = served[0]
    shown = (STATIC / "index.html").read_text()
    first = {"index.html", *re.findall(r'"/page/([^"]+)"', shown)}
    assert sum((STATIC / name).stat().st_size for name in first) < BUDGET_BYTES
    # what the first view needs is fetched at once, and nothing else
    needed = {
        found
        for name in first
        for found in re.findall(r'^import .* from "\./([^"]+)"', (STATIC / name).read_text(), re.MULTILINE)
    }
    assert needed <= first
    for path in STATIC.iterdir():
        assert not re.search(
            r"(src|href)=[\"']?https?:|@import|innerHTML|outerHTML|insertAdjacentHTML|\beval\b(?! --)",
            path.read_text(),
        ), path
        reply = httpx.get(f"{url}/page/{path.name}")
        assert reply.status_code == 200
        policy = reply.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
    assert httpx.head(f"{url}/").status_code == 200
    assert httpx.get(f"{url}/page/..%2froutes.py").status_code == 404
    assert httpx.get(f"{url}/page/nothing.js").status_code == 404


def test_the_first_view_is_small_and_costs_little_when_it_is_loaded_again(
    browser: Browser, served: tuple[str, Engine]
) -> None:
    """By the browser's own count of what came over the wire, headers and the list of models included."""
    context = browser.new_context()
    page = context.new_page()
    session = context.new_cdp_session(page)
    session.send("Network.enable")
    lengths: list[float] = []
    session.on("Network.loadingFinished", lambda event: lengths.append(event["encodedDataLength"]))
    page.goto(f"{served[0]}/")
    expect(page.locator("#model option").first).to_be_attached()
    first = sum(lengths)
    assert 20_000 < first < BUDGET_BYTES
    lengths.clear()
    page.reload()
    expect(page.locator("#model option").first).to_be_attached()
    assert sum(lengths) < first / 2  # what has not changed does not come again
    context.close()


def test_a_file_is_packed_for_who_takes_it_packed(served: tuple[str, Engine]) -> None:
    url = f"{served[0]}/page/app.js"
    plain = httpx.get(url, headers={"accept-encoding": "identity"})
    packed = httpx.get(url, headers={"accept-encoding": "gzip"})
    assert "content-encoding" not in plain.headers
    assert packed.headers["content-encoding"] == "gzip"
    assert packed.text == plain.text == (STATIC / "app.js").read_text()
    assert int(packed.headers["content-length"]) < int(plain.headers["content-length"]) / 2
    known = httpx.get(url, headers={"if-none-match": plain.headers["etag"]})
    assert (known.status_code, known.content) == (304, b"")
    assert "default-src 'none'" in known.headers["content-security-policy"]
    assert httpx.get(url, headers={"if-none-match": '"other"'}).status_code == 200


def test_a_long_list_comes_in_pages(opened: Opened) -> None:
    page = opened.page
    listed = [{"id": f"d{at}", "name": f"part {at}.md", "passages": 1} for at in range(2000)]
    page.route("**/v1/documents?*", lambda route: route.fulfill(json={"documents": listed}))
    go(page, "documents")
    expect(page.get_by_role("heading", name="2,000 documents")).to_be_visible()
    rows = page.locator("#documents > li")
    assert rows.count() == 100
    page.get_by_role("button", name="Show more (1,900 left)").click()
    expect(rows).to_have_count(200)
    expect(rows.nth(100).locator("button").first).to_be_focused()
    page.fill("#filter", "part 1999")
    expect(rows).to_have_count(1)
    expect(page.get_by_role("button", name="Show more")).to_have_count(0)


def test_the_passages_of_a_document_and_around_one(served: tuple[str, Engine]) -> None:
    url = served[0]
    listed = httpx.get(f"{url}/v1/documents").json()["documents"]
    document = next(found for found in listed if found["name"] == "honey.md")
    reply = httpx.get(f"{url}/v1/documents/{document['id']}/passages").json()
    assert reply["total"] == document["passages"] == len(reply["passages"])
    text = DOCUMENTS["honey.md"]
    for passage in reply["passages"]:
        assert passage["text"] == text[passage["start"] : passage["end"]]
    first = reply["passages"][0]
    around = httpx.get(f"{url}/v1/passages/{first['id']}/around", params={"after": 5}).json()["passages"]
    assert [passage["id"] for passage in around] == [passage["id"] for passage in reply["passages"]]
    beyond = httpx.get(f"{url}/v1/documents/{document['id']}/passages", params={"first": 99}).json()
    assert beyond["passages"] == []
    assert httpx.get(f"{url}/v1/documents/doc-0/passages").status_code == 404
    assert httpx.get(f"{url}/v1/passages/none/around").status_code == 404
