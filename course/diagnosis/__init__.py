"""Behind `course doctor`: what it looks at, and the page that it prints."""
