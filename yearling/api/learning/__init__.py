"""Training runs, lesson sets, exams and the behaviour spec over HTTP."""
