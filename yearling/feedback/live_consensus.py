"""The consensus as it stands, live: the last full run, and quick answers for the items that were rated since.

A new rating moves its item at once, with the rater side frozen as the last full run left it; a full run follows in the
background, and when it is done its answer is the only one. Thread-safe.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass

import structlog

from yearling.errors import Conflict, NotFound, UserError
from yearling.feedback.consensus import code_hash, draw_jury_for_item
from yearling.feedback.consensus_runs import RecordedConsensusRun, load_latest_run, run_and_record
from yearling.feedback.events import JuryInvitation
from yearling.feedback.item_update import update_item_result
from yearling.feedback.log import FeedbackLog
from yearling.feedback.parameters import ConsensusParameters
from yearling.feedback.rating_queue import RatingQueueItem, build_rating_queue
from yearling.feedback.snapshot import ItemResult
from yearling.feedback.status_rules import NEEDS_MORE

_LOG = structlog.get_logger("yearling.feedback")
_IDLE_TO_RUN_RATIO = 5.0
"""After a full run that took s seconds there is none for this many times s, so that a big log leaves time for other work."""
_MAX_PROVISIONAL_ITEMS = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemStatus:
    """Where an item stands. `provisional` when it was rated since the last full run; `result` None when nobody judged it."""

    item: str
    status: str
    reason: str
    result: ItemResult | None
    is_provisional: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class JuryState:
    """Who was invited to judge an item, who has, and what they found: a status, `split`, or nothing yet."""

    item: str
    invited: frozenset[str]
    answered: frozenset[str]
    verdict: str


class LiveConsensus:
    """The live consensus of one log."""

    def __init__(self, log: FeedbackLog, parameters: ConsensusParameters | None = None, *, interval_s: float = 2.0) -> None:
        self.log = log
        self.parameters = parameters or ConsensusParameters()
        self._interval_s = interval_s
        self._lock = threading.RLock()
        self._run_lock = threading.Lock()
        self._latest_run: RecordedConsensusRun | None = None
        self._results_by_item: dict[str, ItemResult] = {}
        self._provisional_results: dict[str, tuple[int, ItemResult]] = {}
        self._wake = threading.Event()
        self._is_closing = False
        self._worker: threading.Thread | None = None

    def start(self) -> None:
        """Begin to run in the background whenever somebody acted. `close` ends it."""
        self._wake.set()
        self._worker = threading.Thread(target=self._run_in_background, name="consensus", daemon=True)
        self._worker.start()

    def close(self) -> None:
        """Stop, after the run that is going on."""
        self._is_closing = True
        self._wake.set()
        if self._worker:
            self._worker.join()
            self._worker = None

    def request_run(self) -> None:
        """Somebody acted: a full run will follow soon."""
        self._wake.set()

    def run_now(self) -> RecordedConsensusRun:
        """A full run over the log as it is now. Raises what `run_and_record` raises."""
        with self._run_lock:  # one at a time; what others ask meanwhile is answered from the run before
            mine, newest = self._latest_run, self.log.store.consensus_runs.get_newest()
            # A run that another process recorded has no fits here.
            stale = mine is None or mine.result is None or newest is None or newest.sequence != mine.record.sequence
            finished = run_and_record(self.log.store, self.log.index, self.parameters, need_fits=stale)
            if finished.result is not None:
                self._install_run(finished)
            return finished

    @property
    def latest_run(self) -> RecordedConsensusRun:
        """The last full run: the one on record, without its fits, until the first run in the background is done."""
        if self._latest_run is None:
            recorded = load_latest_run(self.log.store)
            if recorded is None:
                self.run_now()
            else:
                with self._lock:
                    if self._latest_run is None:
                        self._install_run(recorded)
                self.request_run()
        if self._latest_run is None:
            raise RuntimeError("a full run left no result")
        return self._latest_run

    def _install_run(self, finished: RecordedConsensusRun) -> None:
        with self._lock:
            self._latest_run = finished
            self._results_by_item = {result.item: result for result in finished.snapshot.items}
            self._provisional_results = {}

    def item_status(self, item: str) -> ItemStatus:
        """Where an item stands, ratings of this moment included."""
        found = self.item_result(item)
        return ItemStatus(
            item=item,
            status=found.status if found else NEEDS_MORE,
            reason=found.reason if found else "no_quorum",
            result=found,
            is_provisional=self._last_change_sequence(item) > self.latest_run.record.up_to,
        )

    def item_result(self, item: str) -> ItemResult | None:
        """The result of one item, solved again when it was rated since the last full run; None when nobody judged it.

        In the first seconds after a start there are no fits to solve it with: it is then what the run on record says.
        """
        finished, newest = self.latest_run, self._last_change_sequence(item)
        if newest <= finished.record.up_to or finished.result is None:
            return self._results_by_item.get(item)
        self.request_run()
        known = self._provisional_results.get(item)
        if known and known[0] == newest:
            return known[1]
        answer = update_item_result(finished.result, item, self.log.index.events_about(item))
        with self._lock:
            if self._latest_run is finished:
                self._provisional_results[item] = (newest, answer)
        return answer

    def item_results(self) -> list[ItemResult]:
        """All items, by id; those of the newest ratings solved again, unless very many wait for the next full run."""
        finished = self.latest_run
        found = dict(self._results_by_item)
        with self.log.index.consistent_view() as ledger:
            pending = ledger.items_changed_after(finished.record.up_to)
        for name in sorted(pending, key=lambda name: -pending[name])[:_MAX_PROVISIONAL_ITEMS]:
            answer = self.item_result(name)
            if answer is not None:
                found[name] = answer
        return [found[name] for name in sorted(found)]

    def rating_queue(self, person_id: str, *, limit: int = 20) -> list[RatingQueueItem]:
        """What a person could rate next: juries first; nothing that they rated, wrote themselves, or that was taken back."""
        actor, finished = self.log.pseudonym(person_id), self.latest_run
        snapshot, side = finished.snapshot, finished.result.side_of(actor) if finished.result else -1
        with self.log.index.consistent_view() as ledger:
            found = [RatingQueueItem(item=item, reason="jury") for item in ledger.pending_jury_items(actor)[:limit]]
            called = {wanted.item for wanted in found}
            for wanted in build_rating_queue(snapshot, self.parameters.status, side):
                if len(found) == limit:
                    break
                written = ledger.authoring_event(wanted.item)
                own = written is not None and (written.actor == actor or ledger.withdrawal_of(written.id) is not None)
                if not own and wanted.item not in called and not ledger.has_rated(actor, wanted.item):
                    found.append(wanted)
        return found

    def jury_state(self, item: str) -> JuryState:
        """How far the jury on an item is. Raises NotFound where none was invited."""
        with self.log.index.consistent_view() as ledger:
            juries = ledger.active_juries(item)
            if not juries:
                raise NotFound(f"There is no jury on {item[:100]!r}.", advice="An administrator can call one.", param="item")
            answered = frozenset(juror for jury in juries for juror in ledger.jurors_who_rated(jury))
        found = self.item_result(item)
        return JuryState(
            item=item,
            invited=frozenset(juror for jury in juries for juror in jury.jurors),
            answered=answered,
            verdict=found.jury if found else "",
        )

    def invite_jury(self, person_id: str, item: str) -> JuryInvitation:
        """Draw a jury on an item by lot over the whole log, and invite it. Administrators only; the lot decides who sits on it.

        Raises NotFound, and Conflict when too few could be drawn.
        """
        for _ in range(5):
            with self.log.index.consistent_view() as ledger:
                self.log.require_can_invite_jury(person_id, item)
                events, head = ledger.events(), ledger.head.hash
            jurors = draw_jury_for_item(events, item, self.parameters)
            needed = self.parameters.status.jury_size
            if len(jurors) < needed:
                raise Conflict(
                    f"A jury needs {needed} people of both sides who have not rated the item; there are {len(jurors)}.",
                    advice="Wait until more people take part.",
                )
            try:
                return self.log.append_jury_invitation(
                    person_id, item, jurors, expected_head=head, code_hash=code_hash(), parameters_hash=self.parameters.hash
                )
            except Conflict:
                continue
        raise Conflict("The log grew faster than a jury could be drawn.", advice="Try again.")

    def has_rated_or_written(self, person_id: str, item: str) -> bool:
        """Whether a person may see what others think of an undecided item: who rated it, or wrote it."""
        actor = self.log.pseudonym(person_id)
        with self.log.index.consistent_view() as ledger:
            return ledger.author_of(item) == actor or ledger.has_rated(actor, item)

    def _last_change_sequence(self, item: str) -> int:
        with self.log.index.consistent_view() as ledger:
            return ledger.last_change_sequence(item)

    def _run_in_background(self) -> None:
        while True:
            self._wake.wait()
            self._wake.clear()
            if self._is_closing:
                return
            started = time.monotonic()
            try:
                with self.log.index.consistent_view() as ledger:
                    nothing = ledger.last_act_sequence == 0
                if not nothing:
                    self.run_now()
            except UserError as error:
                # The disk is full, say: the next act tries again, and until then the last run stands.
                _LOG.warning("consensus_run_failed", reason=str(error))
            except Exception:
                _LOG.exception("consensus_run_failed")
            spent_s = time.monotonic() - started
            deadline = time.monotonic() + max(self._interval_s, _IDLE_TO_RUN_RATIO * spent_s)
            while not self._is_closing and time.monotonic() < deadline:
                time.sleep(min(0.05, max(0.0, deadline - time.monotonic())))
