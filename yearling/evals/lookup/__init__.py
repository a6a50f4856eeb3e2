"""Exams of search and citations: found passages, cited sentences, abstention, fresh documents."""
