"""Where tests leave what people may want to look at."""

import os
from pathlib import Path


def artifacts_folder() -> Path:
    """The folder in COURSE_TEST_ARTIFACTS, else test-artifacts/ in the checkout."""
    default = Path(__file__).resolve().parent.parent / "test-artifacts"
    folder = Path(os.environ.get("COURSE_TEST_ARTIFACTS") or default)
    folder.mkdir(parents=True, exist_ok=True)
    return folder
