"""The README's example with the page's present code around the trace that it holds, and its picture. Needs no model.

python tests/visualize/renew_example.py
"""

from __future__ import annotations

import re
from pathlib import Path

from browser import take_picture

from nmt_cli.visualize.page import page_around

EXAMPLE = Path(__file__).parent / "example"
PAGE, PICTURE = EXAMPLE / "walkthrough.html", EXAMPLE / "walkthrough.png"


def trace_in(page: str) -> str:
    """The packed trace of a page."""
    return re.search(r'<script type="application/json" id="trace">(.*?)</script>', page, re.DOTALL)[1]


def renewed(page: str) -> str:
    """The same trace and title in the page as it would be written today."""
    return page_around(trace_in(page), re.search(r"<title>(.*?)</title>", page)[1], "en")


if __name__ == "__main__":
    PAGE.write_text(renewed(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    take_picture(str(PAGE), "#decoding,35", str(PICTURE), "1000")
