"""Behind `course.data`: the table of data sets, verified downloads, offline bundles."""
