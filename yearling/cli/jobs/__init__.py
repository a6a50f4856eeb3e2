"""`yearling jobs`, and the kinds of job that this installation can run."""
