"""Hold the locked packages against the known vulnerabilities, by pip-audit: part of `make check`.

Ends with 1 when a package has one. Where the service cannot be reached, or knows none of the packages (a mirror that
serves files and nothing else), nothing has been checked: that is said, and is no failure, so that `make check` works
offline. pip-audit itself ends with 1 for a missing network, and with 0 for a service that knows nothing.
"""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

COMMAND = [sys.executable, "-m", "pip_audit", "--requirement", "requirements.txt", "--require-hashes", "--disable-pip",
           "--progress-spinner", "off", "--format", "json", "--desc", "off", "--timeout", "5"]  # fmt: skip


def verdict(report: dict[str, Any]) -> tuple[int, str]:
    """Exit code and what to say about pip-audit's report."""
    packages = report["dependencies"]
    unknown = [package["name"] for package in packages if "skip_reason" in package]
    found = [
        f"{package['name']} {package['version']}: {flaw['id']}, mended in {', '.join(flaw['fix_versions']) or 'none'}"
        for package in packages
        for flaw in package.get("vulns", [])
    ]
    if found:
        return 1, "known vulnerabilities:\n  " + "\n  ".join(found)
    if len(unknown) == len(packages):
        return 0, "not audited: the service of vulnerabilities knows none of the packages (is this a mirror?)"
    rest = f"; not known to the service: {', '.join(unknown)}" if unknown else ""
    return 0, f"no known vulnerability in {len(packages) - len(unknown)} packages{rest}"


def main() -> int:
    """Run pip-audit and judge what it says."""
    done = subprocess.run(COMMAND, capture_output=True, text=True, check=False)
    try:
        code, text = verdict(json.loads(done.stdout))
    except ValueError:
        reason = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        code, text = 0, f"not audited: pip-audit could not ask for vulnerabilities: {reason}"
    print(f"audit: {text}", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
