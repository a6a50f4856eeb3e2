"""What of a claim must stand in the sentences that are cited for it: numbers, dates, names and negations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from yearling.retrieval.citations.names import missing_names
from yearling.retrieval.citations.negation import missing_negations
from yearling.retrieval.citations.quantities import NumberReader, Quantities, missing_quantities, read_quantities
from yearling.store import Span

MissingKind = Literal["number", "date", "name", "negation"]


@dataclass(frozen=True, slots=True)
class MissingWords:
    """Words of an answer that no cited sentence has. `text` is exactly the code points of `span`."""

    span: Span
    text: str
    kind: MissingKind


@dataclass(frozen=True, slots=True)
class Facts:
    """The numbers and dates of a claim, read once for all sentences that it is compared with."""

    quantities: Quantities

    @property
    def number_spans(self) -> list[Span]:
        """Where they stand in the claim."""
        dates = [span for date in self.quantities.dates for span in date.spans if span is not None]
        return [*(number.span for number in self.quantities.numbers), *dates]


@dataclass(frozen=True, slots=True)
class SourceFacts:
    """A sentence of a source with its numbers and dates."""

    text: str
    quantities: Quantities

    @classmethod
    def read(cls, text: str, read_numbers: NumberReader) -> SourceFacts:
        """Read the numbers and dates of a sentence."""
        return cls(text, read_quantities(text, read_numbers))


def read_facts(claim: str, read_numbers: NumberReader) -> Facts:
    """Read the numbers and dates of a claim."""
    return Facts(read_quantities(claim, read_numbers))


def missing_words(claim: str, facts: Facts, sources: Sequence[SourceFacts]) -> list[MissingWords]:
    """What of the claim stands in none of the sources, in the order of the claim. No two overlap."""
    texts = [source.text for source in sources]
    found: list[tuple[Span, MissingKind]] = []
    for span, kind in missing_quantities(facts.quantities, [source.quantities for source in sources], texts):
        found.append((span, "date" if kind == "date" else "number"))
    found += [(span, "negation") for span in missing_negations(claim, texts)]
    found += [(span, "name") for span in missing_names(claim, texts)]
    kept: list[MissingWords] = []
    for span, kind in sorted(found):
        if not kept or span.start >= kept[-1].span.end:
            kept.append(MissingWords(span, claim[span.start : span.end], kind))
    return kept
