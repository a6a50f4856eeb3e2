"""Documents to canonical texts: readers of many formats, in a child process that limits what a hostile document can cost."""
