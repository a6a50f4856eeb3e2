"""Answer checkers that graders and rewards share: pure functions of text."""

from yearling.checks.numbers import ReadNumber, final_number, parse_number, plain_digits, read_numbers

__all__ = ["ReadNumber", "final_number", "parse_number", "plain_digits", "read_numbers"]
