"""One reader per format: bytes to lines of text with their places. They run in the child process, which limits what they cost."""
