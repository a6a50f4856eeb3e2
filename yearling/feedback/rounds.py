"""Question rounds as people see them: making one, who has yet to judge which pair, how far a round is, and when it ends.

A round has an end: once no pair waits for its answers and enough people have judged every ready pair, `close_finished_rounds`
closes it. The route that records a comparison calls it at once, and the task that answers questions calls it now and then.

An answer by a model is a stored sample of the maintainer who made the round, with a public text of kind `answer` under the same
id. An answer that the maintainer wants is such a text alone, with the maintainer as its author. Both texts carry the messages
that the model saw, so that the two answers of a pair make a lesson. This file counts judgements and never weighs them.
"""

from __future__ import annotations

import csv
import io
import re
import unicodedata
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256

from yearling.errors import BadInput
from yearling.feedback.log import FeedbackLog
from yearling.feedback.rating.judgement_index import pair_subject, preference_for_first
from yearling.store import Round, RoundMethod, RoundPair, RoundQuestion, Store

MAX_QUESTIONS = 200
MAX_ROUND_QUESTION_CHARS = 2_000
MAX_WANTED_CHARS = 8_000
MAX_ROUND_TITLE_CHARS = 100
MAX_PEOPLE_PER_PAIR = 50
DEFAULT_PEOPLE_PER_PAIR = 3
MAX_CSV_CHARS = 1_000_000

ROUND_CLOSER = "yearling"
"""Who closes a round that has reached its goal, in the audit log."""

_QUESTION_COLUMNS = frozenset({"question", "问题"})
_ANSWER_COLUMNS = frozenset({"answer", "答案", "回答"})
_SEPARATOR_LINE = re.compile(r"sep=([,;\t])\r?\n", re.IGNORECASE)
_QUOTE_ADVICE = "Put a text with commas, quotes or line breaks between double quotes."


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundProgress:
    """How far a round is. A pair is `complete` once `people_per_pair` people have judged it."""

    pairs: int
    waiting: int
    failed: int
    ready: int
    complete: int
    judgements: int
    people: int

    @property
    def is_finished(self) -> bool:
        """Whether nothing is left to answer or to judge."""
        return self.waiting == 0 and self.complete == self.ready


def create_round(
    store: Store,
    person_id: str,
    *,
    title: str,
    questions: Sequence[RoundQuestion],
    people_per_pair: int = DEFAULT_PEOPLE_PER_PAIR,
    method: RoundMethod = "sampling",
    models: Sequence[str] = (),
) -> Round:
    """Store a round. Its questions wait until the assistant answers them.

    Raises BadInput for questions, answers or models that are missing, too many or too long, Conflict if too many rounds are open.
    """
    title = " ".join(title.split())
    if not 1 <= len(title) <= MAX_ROUND_TITLE_CHARS:
        raise BadInput(f"A round needs a title of 1 to {MAX_ROUND_TITLE_CHARS} characters.", param="title")
    if not 1 <= people_per_pair <= MAX_PEOPLE_PER_PAIR:
        raise BadInput(f"1 to {MAX_PEOPLE_PER_PAIR} people can judge each pair.", param="people_per_pair")
    if method == "models" and len(set(models)) != 2:
        raise BadInput("Name the two models that answer.", advice="They must differ.", param="models")
    if method != "models" and models:
        raise BadInput("Models can be named only if two of them answer.", advice="Set method to models.", param="models")
    return store.rounds.create(
        person_id,
        title=title,
        questions=_check_questions(questions, method),
        people_per_pair=people_per_pair,
        method=method,
        models=models,
    )


def parse_questions_csv(content: str) -> list[RoundQuestion]:
    """Read questions from a CSV file with the columns question and, if there is a second one, answer.

    A first row that names the columns may give them in any order beside others, and separated by semicolons or tabs. A line
    `sep=;` before it, as spreadsheets write it, sets what separates them. Raises BadInput, which names the line, for a file that
    is invalid or has too many questions.
    """
    if len(content) > MAX_CSV_CHARS:
        raise BadInput(f"The file has more than {MAX_CSV_CHARS:,} characters.", advice="Split it.", param="csv")
    content = content.removeprefix("\ufeff")
    stated = _SEPARATOR_LINE.match(content)
    if stated:
        content = "\n" + content[stated.end() :]  # keeps the numbers of the lines
    columns, delimiter = _read_header(content.lstrip().partition("\n")[0])
    delimiter = stated[1] if stated else delimiter
    reader = csv.reader(io.StringIO(content, newline=""), delimiter=delimiter, strict=True)
    questions: list[RoundQuestion] = []
    try:
        rows = ((reader.line_num, cells) for row in reader if any(cells := [cell.strip() for cell in row]))
        if columns:
            next(rows)
        for line, cells in rows:
            entry = _question_from_cells(cells, columns or ["question", "answer"], f"Line {line}")
            _check_question(entry, f"Line {line}", param="csv")
            questions.append(entry)
            if len(questions) > MAX_QUESTIONS:
                raise BadInput(f"The file has more than {MAX_QUESTIONS} questions.", advice="Make several rounds.", param="csv")
    except csv.Error as error:
        raise BadInput(f"Line {reader.line_num} is not valid CSV: {error}.", advice=_QUOTE_ADVICE, param="csv") from None
    if not questions:
        raise BadInput("The file has no questions.", advice="Write one question a line.", param="csv")
    return questions


def round_progress(log: FeedbackLog, records: Sequence[Round]) -> dict[str, RoundProgress]:
    """How far each of these rounds is, by id."""
    by_round: dict[str, list[RoundPair]] = {record.id: [] for record in records}
    for pair in log.store.rounds.pairs(list(by_round)):
        by_round[pair.round_id].append(pair)
    judges = judgements_by_pair(log, [pair for pairs in by_round.values() for pair in pairs])
    return {record.id: _progress(record, by_round[record.id], judges) for record in records}


def judgements_by_pair(log: FeedbackLog, pairs: Iterable[RoundPair]) -> dict[str, dict[str, float]]:
    """How much each person prefers the left answer of each pair (1, 0.5 or 0), by the id of the pair and by pseudonym.

    A judgement that was withdrawn does not count.
    """
    preferences: dict[str, dict[str, float]] = {}
    with log.index.consistent_view() as index:
        for pair in pairs:
            preferences[pair.id] = {}
            if pair.left_item and pair.right_item:
                subject = pair_subject(pair.left_item, pair.right_item)
                is_left_first = subject[0] == pair.left_item
                for actor, judgement in index.judgements.latest(subject).items():
                    first = preference_for_first(judgement)
                    preferences[pair.id][actor] = first if is_left_first else 1.0 - first
    return preferences


def pairs_to_judge(log: FeedbackLog, person_id: str) -> list[RoundPair]:
    """The ready pairs that still need a judgement and can have this person's, in an order that is random but stays the same.

    These are the pairs of rounds that are not closed, which too few people have judged, this person not among them. Nobody judges
    the answers that they wrote, and readers judge nothing.
    """
    if log.store.people.get(person_id).role == "reader":
        return []
    rounds_by_id = {record.id: record for record in log.store.rounds.list(state=["answering", "open"])}
    pairs = [pair for pair in log.store.rounds.pairs(list(rounds_by_id)) if pair.state == "ready"]
    judges, actor = judgements_by_pair(log, pairs), log.pseudonym(person_id)

    def is_wanted(pair: RoundPair) -> bool:
        record = rounds_by_id[pair.round_id]
        is_author = record.method == "wanted" and record.person_id == person_id
        return not is_author and actor not in judges[pair.id] and len(judges[pair.id]) < record.people_per_pair

    return sorted(filter(is_wanted, pairs), key=lambda pair: judging_order(actor, pair.id))


def judging_order(actor: str, pair_id: str) -> bytes:
    """Return a sort key of pairs: random among people, so that all pairs get judged, and always the same for one person."""
    return sha256(f"{actor} {pair_id}".encode()).digest()


def close_finished_rounds(log: FeedbackLog, *, items: Collection[str] | None = None) -> list[str]:
    """Close the rounds that have reached their goal and return their ids; with `items`, only rounds with these answers."""
    store = log.store
    candidates = store.rounds.list(state=["open"])
    if items is not None and candidates:
        judged = {pair.round_id for pair in store.rounds.pairs_of_items(list(items))}
        candidates = [record for record in candidates if record.id in judged]
    progress = round_progress(log, candidates) if candidates else {}
    finished = [record.id for record in candidates if progress[record.id].is_finished]
    return [round_id for round_id in finished if store.rounds.close(round_id, actor=ROUND_CLOSER)]


def _progress(record: Round, pairs: Sequence[RoundPair], judges: Mapping[str, Collection[str]]) -> RoundProgress:
    ready = [pair for pair in pairs if pair.state == "ready"]
    return RoundProgress(
        pairs=len(pairs),
        waiting=sum(pair.state == "waiting" for pair in pairs),
        failed=sum(pair.state == "failed" for pair in pairs),
        ready=len(ready),
        complete=sum(len(judges[pair.id]) >= record.people_per_pair for pair in ready),
        judgements=sum(len(judges[pair.id]) for pair in ready),
        people=len(set[str]().union(*(judges[pair.id] for pair in ready))),
    )


def _check_questions(questions: Sequence[RoundQuestion], method: RoundMethod) -> list[RoundQuestion]:
    """The questions without surrounding spaces. Raises BadInput."""
    if not 1 <= len(questions) <= MAX_QUESTIONS:
        raise BadInput(f"A round has 1 to {MAX_QUESTIONS} questions, not {len(questions)}.", param="questions")
    checked: dict[RoundQuestion, int] = {}
    for number, entry in enumerate(questions, start=1):
        stripped = RoundQuestion(question=entry.question.strip(), wanted=entry.wanted.strip())
        _check_question(stripped, f"Question {number}", param="questions")
        if bool(stripped.wanted) != (method == "wanted"):
            raise BadInput(
                f"Question {number} has {'an' if stripped.wanted else 'no'} answer of yours.",
                advice="With the method wanted, every question has one; with other methods, none has.",
                param="questions",
            )
        if stripped in checked:
            raise BadInput(f"Question {number} repeats question {checked[stripped]}.", param="questions")
        checked[stripped] = number
    return list(checked)


def _check_question(entry: RoundQuestion, place: str, *, param: str) -> None:
    if not any(unicodedata.category(char)[0] in "LNPS" for char in entry.question):
        raise BadInput(f"{place} has no question.", param=param)
    for text, name, limit in ((entry.question, "question", MAX_ROUND_QUESTION_CHARS), (entry.wanted, "answer", MAX_WANTED_CHARS)):
        if len(text) > limit:
            raise BadInput(f"{place} has {len(text):,} characters in its {name}; at most {limit:,} are allowed.", param=param)


def _read_header(line: str) -> tuple[list[str], str]:
    """The names of the columns in the first line of a CSV file, empty if it names none, and what separates them."""
    for delimiter in ",;\t":
        names = [name.strip().strip('"').strip().lower() for name in line.split(delimiter)]
        if _QUESTION_COLUMNS & set(names):
            return names, delimiter
    return [], ","


def _question_from_cells(cells: Sequence[str], columns: Sequence[str], place: str) -> RoundQuestion:
    if len(cells) > len(columns):
        raise BadInput(f"{place} has {len(cells)} columns, not {len(columns)}.", advice=_QUOTE_ADVICE, param="csv")
    by_column = dict(zip(columns, cells, strict=False))

    def find(names: frozenset[str]) -> str:
        return next((text for name, text in by_column.items() if name in names), "")

    return RoundQuestion(question=find(_QUESTION_COLUMNS), wanted=find(_ANSWER_COLUMNS))
