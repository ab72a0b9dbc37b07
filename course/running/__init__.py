"""Behind `course run`: one lesson's run, the progress display, measuring, the report."""
