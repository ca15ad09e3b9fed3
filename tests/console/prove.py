"""Drives the console of a running cluster in a browser: `prove.py NAME [--short]`."""

import sys
import traceback

from playwright.sync_api import sync_playwright

import rights
import scale
import story
from bed import Bed

PROOFS = {"console": story.prove, "console-scale": scale.prove, "console-rights": rights.prove}


def main() -> int:
    name, *rest = sys.argv[1:]
    with sync_playwright() as playwright:
        bed = Bed(playwright, "--short" in rest)
        try:
            PROOFS[name](bed)
        except Exception as error:
            traceback.print_exc()
            for at, context in enumerate(bed.browser.contexts):
                for page in context.pages:
                    page.screenshot(path=bed.shots / f"failed-{name}-{at}.png")
            print("\n".join(bed.said), file=sys.stderr)
            return 1
        finally:
            bed.browser.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
