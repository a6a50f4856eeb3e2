"""One assistant turn: messages in, an answer and its sample out."""
