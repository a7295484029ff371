"""How fast pages of `nmt visualize` open and how smoothly they play, in headless Chromium without a graphics card.

    nmt visualize RUN "a sentence of sixty words ..." -o long.html
    python tests/benchmarks/walkthrough.py long.html ...

For each figure in view, while the clock plays: the time from one frame to the next, as the reader sees it (16.7 ms are
60 frames a second), and the work of a frame: script, styles and layout. Medians and 95th percentiles, in milliseconds.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "visualize"))
from browser import Browser, find_browser

PLAY = """
(async () => {
  document.getElementById("%(figure)s").scrollIntoView({ block: "start", behavior: "instant" });
  clock.seek(clock.find({ phase: "%(phase)s" }), 0);
  await new Promise((done) => setTimeout(done, 300));
  const gaps = [], work = [];
  const tick = clock.tick.bind(clock);
  let last = null;
  clock.frame = (now) => {
    const begun = performance.now();
    tick(now);
    document.body.offsetHeight;
    work.push(performance.now() - begun);
    if (last !== null) gaps.push(now - last);
    last = now;
  };
  clock.play();
  await new Promise((done) => setTimeout(done, 1000 * %(seconds)s));
  clock.pause();
  const of = (times, share) => times.sort((a, b) => a - b)[Math.floor(share * (times.length - 1))];
  return [gaps.length / %(seconds)s, of(gaps, 0.5), of(gaps, 0.95), of(work, 0.5), of(work, 0.95)];
})()"""
PHASES = {"box": "encode", "embedding": "encode", "cell": "encode", "encoder": "encode"}  # the others: decode


def measure(page: Path, figures: list[str], seconds: float) -> None:
    """Print one table."""
    with tempfile.TemporaryDirectory() as home:
        browser = Browser(find_browser() or sys.exit("no Chromium is installed"), Path(home))
        try:
            begun = time.perf_counter()
            browser.open(page)
            browser.run("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
            opened = 1000 * (time.perf_counter() - begun)
            lengths = browser.run("[clock.walk.source.length, clock.walk.target.length]")
            print(
                f"{page.name}: {page.stat().st_size / 1e6:.2f} MB, {lengths[0]} source and {lengths[1]} target tokens,",
                end=" ",
            )
            print(f"opens in {opened:.0f} ms")
            print(f"{'figure':10} {'frames/s':>8} {'gap':>6} {'95th':>6} {'work':>6} {'95th':>6}")
            for figure in figures or browser.run("figures.map(({ id }) => id)"):
                facts = {"figure": figure, "phase": PHASES.get(figure, "decode"), "seconds": seconds}
                rate, *times = browser.run(PLAY % facts)
                print(f"{figure:10} {rate:8.1f} " + " ".join(f"{value:6.1f}" for value in times), flush=True)
        finally:
            browser.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pages", nargs="+", type=Path, help="made by nmt visualize")
    parser.add_argument("--figures", nargs="*", default=[], help="ids, such as attention; all of them if not given")
    parser.add_argument("--seconds", type=float, default=3.0, help="of play, for each figure")
    arguments = parser.parse_args()
    for path in arguments.pages:
        measure(path, arguments.figures, arguments.seconds)
