"""Behind `course build`: reading lessons, refusing what would fail a reader, making notebooks."""
