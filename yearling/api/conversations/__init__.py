"""Conversations, turns, folders, share links, memories, modes and settings of a person."""
