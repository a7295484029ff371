"""The page in a real browser: the clock, its keys, and the numbers on the screen."""

from __future__ import annotations

import dataclasses
import json
import math
from functools import cache
from pathlib import Path

import pytest
from browser import Browser, find_browser
from recordings import KINDS, every_kind, long_walk, make_recording, of_kind

from nmt_cli.visualize.page import build_page
from nmt_cli.visualize.trace import Trace

pytestmark = pytest.mark.skipif(find_browser() is None, reason="no Chromium is installed")
MINUS, TIMES = "\N{MINUS SIGN}", "\N{MULTIPLICATION SIGN}"
ATTENTIVE = [of_kind(kind) for kind in ("general", "local-p", "multi-head", "bahdanau", "conditional")]
DRAW = "figures.forEach((figure) => figure.draw(clock.now))"
FIGURES = ["box", "embedding", "cell", "encoder", "unrolled", "attention", "decoding", "matrix", "beam", "whatif"]


@pytest.fixture(scope="module")
def window(tmp_path_factory):
    """One browser for all tests here."""
    browser = Browser(find_browser(), tmp_path_factory.mktemp("browser"))
    yield browser
    browser.close()


@pytest.fixture(scope="module")
def page_of(tmp_path_factory):
    """The page of a kind of model, by its name, or of two models side by side: made when it is first asked for."""
    folder = tmp_path_factory.mktemp("pages")

    @cache
    def written(kind: str) -> Path:
        path = folder / f"{kind}.html"
        path.write_text(build_page(side_by_side() if kind == "both" else make_recording(kind).trace), encoding="utf-8")
        return path

    return written


def side_by_side() -> Trace:
    """A sentence through two models."""
    general, bahdanau = make_recording("general").trace, make_recording("bahdanau").trace
    other = dataclasses.replace(bahdanau.walks[0], model="other")
    return Trace({**general.models, "other": bahdanau.models["small"]}, [*general.walks, other])


@pytest.fixture
def page(window, page_of):
    """The walk of a model with general attention, at its start."""
    window.open(page_of("general"))
    return window


def open_walk(window, folder, walk) -> None:
    """A page of this walk of the model with general attention."""
    trace = dataclasses.replace(make_recording("general").trace, walks=[walk])
    (folder / "walk.html").write_text(build_page(trace), encoding="utf-8")
    window.open(folder / "walk.html")


def at(page) -> tuple[int, bool]:
    return page.run("clock.index"), page.run("clock.isPlaying")


def go_to(page, step: int, part: str) -> None:
    page.run(f"clock.seek(clock.find({{phase: 'decode', step: {step}, part: '{part}'}})); {DRAW}")


def texts(page, selector: str) -> list[str]:
    return page.run(f"[...document.querySelectorAll('{selector}')].map((node) => node.textContent)")


def active(page, selector: str) -> int:
    """The place of the one that is being drawn."""
    return page.run(f"[...document.querySelectorAll('{selector}')].findIndex((n) => n.classList.contains('active'))")


def terms_of(line: str) -> list[float]:
    """The products in a written sum: "0.5 x (-1) + 0.25 from 3 more"."""
    plain = line.replace("(", "").replace(")", "").replace(MINUS, "-")
    return [math.prod(map(float, term.split(" from ")[0].split(f" {TIMES} "))) for term in plain.split(" + ")]


def number(text: str) -> float:
    return float(text.replace(MINUS, "-"))


# One is quick; the slow suite draws all others too.
@pytest.mark.parametrize(
    "kind",
    [pytest.param(kind, marks=() if kind == "general" else pytest.mark.slow) for kind in (*KINDS, "both")],
)
def test_every_moment_can_be_drawn_without_errors_and_without_the_network(window, page_of, kind):
    window.open(page_of(kind))
    window.run(f"for (let i = 0; i < clock.moments.length; i++) {{ clock.seek(i, 0.5); {DRAW}; }}")
    assert window.run("document.body.innerText.match(/[a-z]+_[a-z_]+/g)") is None  # a text without words is its key
    assert texts(window, "section.figure h2 .number") == [str(place) for place in range(1, 11)]
    assert window.run("[...document.querySelectorAll('section.figure')].map((node) => node.id)") == FIGURES
    assert window.errors == []
    assert [url for url in window.requests if not url.startswith("file:")] == []


@pytest.mark.parametrize("kind", every_kind)
def test_every_cells_gates_make_its_state_from_the_one_before(window, page_of, kind):
    window.open(page_of(kind))
    worst = """
      (() => {
        const { walk } = walks[0];
        const wrong = walk.target.flatMap((_, t) => walk.decoder.cells.flatMap(({ values }, place) => {
          const before = stateBefore(walk, place, t);
          const at = (name) => values[name][t];
          return Array.from(at("hidden"), (hidden, unit) => values.memory
            ? at("forget")[unit] * before.memory[unit] + at("input")[unit] * at("candidate")[unit] - at("memory")[unit]
            : (1 - at("update")[unit]) * at("candidate")[unit] + at("update")[unit] * before.hidden[unit] - hidden);
        }));
        return Math.max(...wrong.map(Math.abs));
      })()"""
    assert window.run(worst) == pytest.approx(0.0, abs=2e-5)


@pytest.mark.parametrize(
    ("kind", "parts"),
    [
        of_kind("none", "recur logits"), of_kind("cho", "recur combine logits"),
        of_kind("general", "recur energies weights context combine logits"),
        of_kind("bahdanau", "energies weights context recur combine logits"),
        of_kind("multi-head", "energies weights context recur logits"),
        of_kind("gnmt_v2", "recur energies weights context climb logits"),
        of_kind("conditional", "recur energies weights context climb combine logits"),
    ],
)  # fmt: skip
def test_a_step_is_drawn_in_the_order_in_which_the_decoder_computes_it(window, page_of, kind, parts):
    window.open(page_of(kind))
    assert window.run("clock.parts") == [*parts.split(), "choose"]


@pytest.mark.parametrize("kind", ATTENTIVE)
def test_the_sum_on_the_screen_adds_up(window, page_of, kind):
    window.open(page_of(kind))
    go_to(window, 1, "context")
    (line,) = texts(window, "#context-sum")
    left, right, result = line.split(" = ")
    assert left.startswith("context, unit ")
    assert sum(terms_of(right)) == pytest.approx(number(result), abs=0.004)


def exponential(text: str) -> float:
    """What a written "exp(a - b)" comes to, with the digits that are shown."""
    value, subtracted = text.removeprefix("exp(").removesuffix(")").split(f" {MINUS} ")
    return math.exp(number(value) - number(subtracted.strip("()")))


@pytest.mark.parametrize("kind", ATTENTIVE)
def test_a_weight_on_the_screen_is_the_softmax_of_its_energy(window, page_of, kind):
    window.open(page_of(kind))
    go_to(window, 1, "weights")
    product, weight, *_ = texts(window, "#weight-sum")[0].split(" = ")
    softmax, *nearness = product.split(f" {TIMES} ")
    assert exponential(softmax) * math.prod(map(number, nearness)) == pytest.approx(number(weight), abs=0.002)


def test_a_probability_on_the_screen_is_the_softmax_of_its_logit(page):
    go_to(page, 1, "choose")
    softmax, probability, *_ = texts(page, "#softmax-sum")[0].split(" = ")
    assert exponential(softmax) == pytest.approx(float(probability), abs=0.001)


def test_on_paper_lines_end_at_their_columns(page):
    page.run("dispatchEvent(new Event('beforeprint'))")
    place = "node.getBoundingClientRect()"
    middle = f"((node) => {place}.left + {place}.width / 2)"
    left = page.run("document.querySelector('#decoding .loom').getBoundingClientRect().left")
    column = page.run(f"{middle}(document.querySelector('#decoding .upper .column')) - {left}")
    course = page.run("document.querySelector('#decoding .line').getAttribute('d')")
    assert float(course.split()[-2]) == pytest.approx(column, abs=1.0)
    page.run("dispatchEvent(new Event('afterprint'))")
    assert page.run("getComputedStyle(document.getElementById('transport')).display") == "grid"


def test_local_attention_multiplies_on_the_screen(window, page_of):
    window.open(page_of("local-p"))
    go_to(window, 1, "weights")
    rows = window.run(
        "[...document.querySelectorAll('#attention tbody tr:not(.out-of-reach)')].map((row) =>"
        " ['softmax', 'window', 'weight'].map((name) => row.querySelector(`.of-${name}`).textContent))"
    )
    shown = [[number(text.removeprefix(f"{TIMES} ")) for text in row] for row in rows]
    assert sum(softmax for softmax, _, _ in shown) == pytest.approx(1.0, abs=0.003)
    assert all(softmax * nearness == pytest.approx(weight, abs=0.002) for softmax, nearness, weight in shown)


def test_play_moves_the_clock_and_pause_stops_it(page):
    page.run("document.getElementById('play').click()")
    page.wait("clock.index >= 1")
    page.run("document.getElementById('play').click()")
    before = page.run("clock.time")
    page.run("new Promise((done) => setTimeout(done, 100))")
    assert page.run("clock.time") == before


def test_playing_stops_at_the_end_and_starts_over(page):
    page.run("clock.seek(clock.moments.length - 1, 0.9); clock.play()")
    page.wait("!clock.isPlaying")
    assert page.run("clock.index === clock.moments.length - 1")
    page.run("clock.play()")
    assert page.run("clock.index") == 0


def test_arrow_keys_step_and_shift_steps_by_words(page):
    page.press("ArrowRight")
    page.press("ArrowRight")
    assert at(page) == (2, False)
    page.press("ArrowLeft")
    assert at(page) == (1, False)
    page.press("End")
    page.press("ArrowLeft", shift=True)
    assert page.run("clock.now.part") == "choose"
    assert page.run("clock.now.t") == len(make_recording("general").walk.target) - 2
    page.press("Home")
    assert at(page) == (0, False)


def test_space_plays_and_pauses(page):
    page.press(" ")
    assert page.run("clock.isPlaying")
    page.press(" ")
    assert not page.run("clock.isPlaying")


def test_the_slider_sets_every_figure_to_the_same_moment(page):
    step = page.run("clock.find({phase: 'decode', step: 2, part: 'choose'})")
    page.run(f"slider.value = {step}; slider.dispatchEvent(new Event('input')); {DRAW}")
    assert page.run("document.querySelectorAll('#box .sentence:last-child .chip:not(.hidden)').length") == 3
    assert active(page, "#decoding .lower .column") == 3
    assert active(page, "#matrix .row") == 2


def test_energies_and_weights_on_the_screen_are_the_traces(page):
    (attention,) = make_recording("general").walk.decoder.attentions
    for step in (0, 1):
        go_to(page, step, "weights")
        shown = texts(page, "#attention tbody td.number output")
        assert [number(text) for text in shown[0::2]] == pytest.approx(attention.energies[step].tolist(), abs=0.0051)
        assert [number(text) for text in shown[1::2]] == pytest.approx(attention.weights[step].tolist(), abs=0.00051)
        assert texts(page, "#weights-sum") == ["sum 1.000"]


def test_probabilities_on_the_screen_are_the_traces(page):
    for step, choice in enumerate(make_recording("general").walk.decoder.choices[:3]):
        go_to(page, step, "choose")
        shown = page.run(
            "[...document.querySelectorAll('#choices [data-probability]')].map((n) => Number(n.dataset.probability))"
        )
        assert shown == pytest.approx([math.exp(log_prob) for log_prob in choice.log_probs], rel=1e-6)
        chosen = page.run(
            "[...document.querySelectorAll('#choices .choice')].findIndex((n) => n.classList.contains('chosen'))"
        )
        assert chosen == choice.chosen


def test_the_cells_arithmetic_on_the_screen_adds_up(page):
    go_to(page, 1, "recur")
    _, right, result = texts(page, "#cell-rule .sum")[0].split(" = ")
    assert sum(terms_of(right)) == pytest.approx(number(result), abs=0.01)


def test_the_matrix_shows_the_weights(page):
    walk = make_recording("general").walk
    page.press("End")
    titles = texts(page, "#matrix .row rect title")
    weights = [number(title.rsplit(": ", 1)[1]) for title in titles]
    assert weights == pytest.approx(walk.decoder.attentions[0].weights.ravel().tolist(), abs=0.00051)


def test_the_search_tree_has_every_node_and_the_finished_hypotheses(page):
    walk = make_recording("general").walk
    assert page.run("document.querySelectorAll('#beam .tree .node').length") == len(walk.search.nodes)
    shown = texts(page, "#beam tbody tr:not(.reference) td:first-child")
    assert shown == [found.text for found in walk.search.finished]


def test_the_same_sentence_with_beam_1_is_a_tab(page):
    walk = make_recording("general").walk
    page.run("document.querySelectorAll('#beam .tabs button')[1].click()")
    assert page.run("document.querySelectorAll('#beam .tree .node').length") == len(walk.greedy.nodes)
    assert walk.greedy.finished[0].text in texts(page, "#beam td:first-child")
    said = " ".join(texts(page, "#beam .why"))
    assert (walk.greedy.finished[0].text in said) or ("same translation" in said)


def test_pieces_can_be_merged_to_words(window, tmp_path):
    recording = make_recording("general")
    source = [dataclasses.replace(token, word=place // 2) for place, token in enumerate(recording.walk.source)]
    open_walk(window, tmp_path, dataclasses.replace(recording.walk, source=source))
    window.press("End")
    columns = "document.querySelectorAll('#matrix .label.source').length"
    assert window.run(columns) == len(source)
    window.run("merge.click()")
    assert window.run(columns) == (len(source) + 1) // 2
    titles = texts(window, "#matrix .row rect title")
    target = recording.walk.target
    assert sum(number(title.rsplit(": ", 1)[1]) for title in titles) == pytest.approx(len(target), abs=0.02)


def test_two_models_stand_side_by_side(window, page_of):
    window.open(page_of("both"))
    assert texts(window, "#whatif .side-by-side h3") == ["small", "other"]
    assert window.run("document.querySelectorAll('#whatif .side-by-side .matrix').length") == 2


def test_tokens_that_run_from_the_right_are_set_from_the_right(window, tmp_path):
    walk = make_recording("general").walk
    words = [dataclasses.replace(token, piece="\N{ARABIC LETTER ALEF}") for token in walk.source[:-1]]
    open_walk(window, tmp_path, dataclasses.replace(walk, source=[*words, walk.source[-1]]))
    places = "[...document.querySelectorAll('#box .chip.source')].map((node) => node.getBoundingClientRect().left)"
    lefts = window.run(places)
    assert lefts == sorted(lefts, reverse=True)


def test_a_screen_reader_is_told_steps_but_not_play(page):
    assert page.run("caption.ariaLive") == "polite"
    page.press(" ")
    assert page.run("caption.ariaLive") == "off"
    page.press(" ")
    assert page.run("caption.ariaLive") == "polite"


def test_sixty_words_are_drawn_within_a_frame(window, tmp_path):
    open_walk(window, tmp_path, long_walk(make_recording("general").walk, 60))
    times = window.run(f"""
      Array.from({{ length: 120 }}, (_, n) => {{
        const begun = performance.now();
        clock.seek(100 + Math.floor(n / 10), (n % 10) / 10); {DRAW};
        document.body.offsetHeight;
        return performance.now() - begun;
      }}).sort((a, b) => a - b)""")
    assert times[60] < 1000 / 60


def test_a_sentence_that_looks_like_markup_is_shown_as_it_is(page):
    assert "</script><img" in page.run("document.querySelector('h1').textContent")
    assert page.run("document.querySelectorAll('img').length") == 0


def test_hovering_a_strip_tells_a_number_of_the_trace(page):
    page.run(
        "(() => { const s = document.querySelector('#embedding .large .strip'); const b = s.getBoundingClientRect();"
        " s.dispatchEvent(new PointerEvent('pointermove', {clientX: b.left + 1, clientY: b.top + 1})); })()"
    )
    value = make_recording("general").walk.encoder.inputs[0][0][0]
    assert number(page.run("tooltip.textContent").rsplit(": ", 1)[1]) == pytest.approx(value, abs=5e-5)


def test_pressing_a_strip_shows_every_unit(page):
    page.run("document.querySelector('#embedding .large .strip').click()")
    assert page.run("units.open && document.querySelectorAll('.unit').length") == 8
    page.run("units.close()")


def test_a_word_can_be_taken_away(page):
    walk = make_recording("general").walk
    page.run("document.querySelectorAll('#whatif .sentence button')[2].click()")
    shown = page.run("document.querySelectorAll('#whatif .comparison .sentence')[1].textContent.trim()")
    assert shown == walk.variants[2].text


def test_an_address_names_a_moment_and_a_figure(page):
    page.run("location.hash = '#beam,12'")
    page.wait("clock.index === 12")
    assert 0 <= page.run("document.getElementById('beam').getBoundingClientRect().top") < 100


def test_the_language_can_be_switched_without_losing_the_place(page):
    page.press("ArrowRight")
    page.run("window.list = document.getElementById('language'); window.list.value = 'ko'")
    page.run("window.list.dispatchEvent(new Event('change'))")
    assert texts(page, "#matrix-title")[0].endswith("정렬")
    assert page.run("document.documentElement.lang") == "ko"
    assert page.run("clock.index") == 1


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_from_its_ground(window, page_of, scheme):
    pairs = [
        *(("ink", ground) for ground in ("ground", "card", "context-soft")), ("ground", "ink"),
        *(("soft", ground) for ground in ("ground", "card", "target-soft")), ("gate", "card"),
        *((side, ground) for side in ("source", "target") for ground in (f"{side}-soft", "card")),
        ("card", "source"), ("card", "target"), ("context-ink", "context-soft"), ("context-ink", "card"),
    ]  # fmt: skip
    try:
        window.prefer(prefers_color_scheme=scheme)
        window.open(page_of("general"))
        ratios = window.run(f"""
          (() => {{
            const canvas = document.createElement("canvas").getContext("2d");
            const luminance = (name) => {{
              canvas.fillStyle = getComputedStyle(document.body).getPropertyValue(`--${{name}}`);
              canvas.fillRect(0, 0, 1, 1);
              const [red, green, blue] = Array.from(canvas.getImageData(0, 0, 1, 1).data, (each) =>
                each / 255 <= 0.04045 ? each / 255 / 12.92 : ((each / 255 + 0.055) / 1.055) ** 2.4);
              return 0.2126 * red + 0.7152 * green + 0.0722 * blue + 0.05;
            }};
            return {json.dumps(pairs)}.map((pair) => pair.map(luminance)).map(([a, b]) => Math.max(a / b, b / a));
          }})()""")
    finally:
        window.prefer()
    low = [(pair, ratio) for pair, ratio in zip(pairs, ratios, strict=True) if ratio < 4.5]  # WCAG 2.2, 1.4.3
    assert low == []


def test_every_control_has_a_name_and_every_figure_a_heading(page):
    named = "node.ariaLabel || node.textContent.trim() || node.labels?.length"
    controls = "[...document.querySelectorAll('button,select,input')]"
    assert page.run(f"{controls}.filter((node) => !({named})).map((node) => node.outerHTML)") == []
    heading = "document.getElementById(node.getAttribute('aria-labelledby'))"
    assert page.run(f"[...document.querySelectorAll('section')].every((node) => {heading})")


@pytest.mark.parametrize("width", [360, 1280])
def test_nothing_sticks_out_of_the_page(window, page_of, width):
    window.open(page_of("general"), width, 800)
    assert window.run("document.documentElement.scrollWidth") <= width


def test_with_reduced_motion_play_goes_from_moment_to_moment(window, page_of):
    window.prefer(prefers_reduced_motion="reduce")
    try:
        window.open(page_of("general"))
        window.run("clock.seek(1, 0.2)")
        assert window.run("clock.now.progress") > 0.99
    finally:
        window.prefer()
