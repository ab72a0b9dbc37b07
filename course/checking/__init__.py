"""Behind `course.exercises`: run a student's answer safely, judge it, and say what helps."""
