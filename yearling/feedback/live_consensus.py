"""The live consensus: the last full run, and provisional results for items that were rated since.

A new rating changes the result of its item at once, with the rater side of the model frozen as the last full run left it. A full
run follows in the background and replaces all provisional results. Thread-safe.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from yearling.errors import Conflict, NotFound, UserError
from yearling.feedback.consensus import ConsensusResult, code_hash, draw_jury_for_item
from yearling.feedback.consensus_runs import RecordedConsensusRun, load_latest_run, run_and_record
from yearling.feedback.events import JuryInvitation, Rating
from yearling.feedback.item_update import result_without_fits, update_item_result
from yearling.feedback.log import FeedbackLog
from yearling.feedback.parameters import ConsensusParameters
from yearling.feedback.rating_queue import RatingQueueItem, build_rating_queue
from yearling.feedback.snapshot import ItemResult
from yearling.feedback.status_rules import NEEDS_MORE
from yearling.tracebacks import describe_exception

_LOG = structlog.get_logger("yearling.feedback")
_IDLE_TO_RUN_RATIO = 5.0
"""After a full run that took s seconds, the next one waits this many times s, so that a large log leaves time for other work."""
_MAX_PROVISIONAL_ITEMS = 50
_MAX_JURY_DRAWS = 5
_QUEUE_BATCH = 200
"""How many items of the rating queue are looked up at once."""
_CLOSE_POLL_S = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemStatus:
    """The status of an item. `is_provisional` means that it was rated since the last full run; `result` is None if unjudged."""

    item: str
    status: str
    reason: str
    result: ItemResult | None
    is_provisional: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class JuryState:
    """The jurors invited to judge an item, those who have, and the verdict: a status, `split`, or empty while it is open."""

    item: str
    invited: frozenset[str]
    answered: frozenset[str]
    verdict: str


class LiveConsensus:
    """The live consensus of one log. `interval_s` is the shortest pause between two full runs in the background."""

    def __init__(self, log: FeedbackLog, parameters: ConsensusParameters | None = None, *, interval_s: float = 2.0) -> None:
        self.log = log
        self.parameters = parameters or ConsensusParameters()
        self._interval_s = interval_s
        self._lock = threading.RLock()
        self._run_lock = threading.Lock()
        self._latest_run: RecordedConsensusRun | None = None
        self._basis: ConsensusResult | None = None
        """What provisional results start from: the last full run with its fits, or what stands in for it."""
        self._results_by_item: dict[str, ItemResult] = {}
        self._provisional_results: dict[str, tuple[int, ItemResult]] = {}
        self._wake = threading.Event()
        self._is_closing = False
        self._worker: threading.Thread | None = None
        self._listeners: list[Callable[[RecordedConsensusRun], None]] = []

    def start(self) -> None:
        """Start a background thread that runs the consensus after new acts. `close` stops it."""
        self._wake.set()
        self._worker = threading.Thread(target=self._run_in_background, name="consensus", daemon=True)
        self._worker.start()

    def on_run(self, listener: Callable[[RecordedConsensusRun], None]) -> None:
        """Call this after each full run of this process, in the thread of the run."""
        self._listeners.append(listener)

    def close(self) -> None:
        """Stop the background thread after its current run."""
        self._is_closing = True
        self._wake.set()
        if self._worker:
            self._worker.join()
            self._worker = None

    def request_run(self) -> None:
        """Ask the background thread for a full run soon, because somebody acted."""
        self._wake.set()

    def run_now(self) -> RecordedConsensusRun:
        """Run the consensus over the current log, in this thread. Raises as `run_and_record` does."""
        with self._run_lock:  # one run at a time; meanwhile the previous run answers all questions
            current, newest = self._latest_run, self.log.store.consensus_runs.get_newest()
            # A run that another process recorded has no fits in this process.
            need_fits = current is None or current.result is None or newest is None or newest.sequence != current.record.sequence
            finished = run_and_record(self.log.store, self.log.index, self.parameters, need_fits=need_fits)
            if finished.result is not None:
                self._install_run(finished)
        for listener in self._listeners:
            listener(finished)
        return finished

    @property
    def latest_run(self) -> RecordedConsensusRun:
        """The last full run, made in this thread if there is none yet.

        Until the first run in the background ends, this is the recorded run, without its fits.
        """
        if self._load_recorded_run() is None:
            self.run_now()
        if self._latest_run is None:
            raise RuntimeError("a full run left no result")
        return self._latest_run

    def _load_recorded_run(self) -> RecordedConsensusRun | None:
        """Return the last full run, or None if there is none yet. Never computes one."""
        with self._lock:
            if self._latest_run is None:
                recorded = load_latest_run(self.log.store)
                if recorded is not None:
                    self._install_run(recorded)
                self.request_run()
            return self._latest_run

    @property
    def visible_degree(self) -> float:
        """How far the raters visibly divide, as of the last full run; 0 before the first. Never waits for a full run."""
        latest = self._load_recorded_run()
        return latest.snapshot.visible_division.degree if latest else 0.0

    def _install_run(self, finished: RecordedConsensusRun) -> None:
        with self._lock:
            self._latest_run = finished
            self._basis = finished.result
            self._results_by_item = {result.item: result for result in finished.snapshot.items}
            self._provisional_results = {}

    def item_status(self, item: str) -> ItemStatus:
        """Return the status of an item, including ratings that arrived since the last full run. Never waits for a full run."""
        result = self.item_result(item)
        latest = self._load_recorded_run()
        return ItemStatus(
            item=item,
            status=result.status if result else NEEDS_MORE,
            reason=result.reason if result else "no_quorum",
            result=result,
            is_provisional=self._last_change_sequence(item) > (latest.record.up_to if latest else 0),
        )

    def item_result(self, item: str) -> ItemResult | None:
        """Return the result of one item, solved again if it was rated since the last full run; None if nobody judged it.

        Never waits for a full run. Until the fits of the first run are there, people belong to both sides alike.
        """
        latest, change_sequence = self._load_recorded_run(), self._last_change_sequence(item)
        if change_sequence <= (latest.record.up_to if latest else 0):
            return self._results_by_item.get(item)
        self.request_run()
        cached = self._provisional_results.get(item)
        if cached and cached[0] == change_sequence:
            return cached[1]
        with self.log.index.consistent_view() as index:
            events = index.events_about(item)
            invited = frozenset(
                event.actor for event in events if isinstance(event, Rating) and index.counts_at_once(event.actor)
            )
        basis = self._provisional_basis(latest)
        result = update_item_result(basis, item, events, invited=invited)
        with self._lock:
            if self._latest_run is latest:
                self._provisional_results[item] = (change_sequence, result)
        return result

    def _prepare_first_answers(self) -> None:
        """Read the log and the recorded run, so that the first rating does not wait for it."""
        try:
            with self.log.index.consistent_view():
                pass
            self._provisional_basis(self._load_recorded_run())
        except UserError as error:
            # The first rating reports it to the person.
            _LOG.warning("consensus_not_prepared", reason=str(error))

    def _provisional_basis(self, latest: RecordedConsensusRun | None) -> ConsensusResult:
        with self._lock:
            if self._basis is None:
                self._basis = result_without_fits(latest.snapshot if latest else None, self.parameters)
            return self._basis

    def item_results(self) -> list[ItemResult]:
        """Return all results, by item id.

        The items rated last are solved again, up to a limit; the rest wait for the next run.
        """
        latest = self.latest_run
        results = dict(self._results_by_item)
        with self.log.index.consistent_view() as index:
            changed = index.items_changed_after(latest.record.up_to)
        for item in sorted(changed, key=lambda item: -changed[item])[:_MAX_PROVISIONAL_ITEMS]:
            result = self.item_result(item)
            if result is not None:
                results[item] = result
        return [results[item] for item in sorted(results)]

    def rating_queue(self, person_id: str, *, limit: int = 20) -> list[RatingQueueItem]:
        """Return what a person could rate next, jury items first.

        Omits items that the person rated, wrote or may not read, and items that were withdrawn.
        """
        actor, latest = self.log.pseudonym(person_id), self.latest_run
        side = latest.result.side_of(actor) if latest.result else -1
        with self.log.index.consistent_view() as index:
            candidates = [RatingQueueItem(item=item, reason="jury") for item in index.pending_jury_items(actor)]
            jury_items = {entry.item for entry in candidates}
            for entry in build_rating_queue(latest.snapshot, self.parameters.status, side):
                authoring = index.authoring_event(entry.item)
                is_excluded = authoring is not None and (
                    authoring.actor == actor or index.withdrawal_of(authoring.id) is not None
                )
                if not is_excluded and entry.item not in jury_items and not index.has_rated(actor, entry.item):
                    candidates.append(entry)
        queue: list[RatingQueueItem] = []
        for start in range(0, len(candidates), _QUEUE_BATCH):
            batch = candidates[start : start + _QUEUE_BATCH]
            readable = self.log.readable_items(person_id, [entry.item for entry in batch])
            queue += [entry for entry in batch if entry.item in readable]
            if len(queue) >= limit:
                break
        return queue[:limit]

    def jury_state(self, item: str) -> JuryState:
        """Return the state of the jury on an item. Raises NotFound if no jury was invited."""
        with self.log.index.consistent_view() as index:
            juries = index.active_juries(item)
            if not juries:
                raise NotFound(f"There is no jury on {item[:100]!r}.", advice="An administrator can call one.", param="item")
            answered = frozenset(juror for jury in juries for juror in index.jurors_who_rated(jury))
        result = self.item_result(item)
        return JuryState(
            item=item,
            invited=frozenset(juror for jury in juries for juror in jury.jurors),
            answered=answered,
            verdict=result.jury if result else "",
        )

    def invite_jury(self, person_id: str, item: str) -> JuryInvitation:
        """Draw a jury on an item by lot over the current log, and invite it. The caller cannot choose the jurors.

        Raises NotFound if the caller is no administrator or nobody judged the item, and Conflict if too few people can be drawn
        or the log keeps growing.
        """
        for _ in range(_MAX_JURY_DRAWS):
            with self.log.index.consistent_view() as index:
                self.log.require_can_invite_jury(person_id, item)
                events, head = index.events(), index.head.hash
            jurors = draw_jury_for_item(events, item, self.parameters)
            num_needed = self.parameters.status.jury_size
            if len(jurors) < num_needed:
                raise Conflict(
                    f"A jury needs {num_needed} people of both sides who have not rated the item; there are {len(jurors)}.",
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
        """Return whether a person rated or wrote an item, and so may see what others think of it while it is undecided."""
        actor = self.log.pseudonym(person_id)
        with self.log.index.consistent_view() as index:
            return index.author_pseudonym(item) == actor or index.has_rated(actor, item)

    def _last_change_sequence(self, item: str) -> int:
        with self.log.index.consistent_view() as index:
            return index.last_change_sequence(item)

    def _run_in_background(self) -> None:
        self._prepare_first_answers()
        while True:
            self._wake.wait()
            self._wake.clear()
            if self._is_closing:
                return
            started = time.monotonic()
            try:
                with self.log.index.consistent_view() as index:
                    is_empty = index.last_act_sequence == 0
                if not is_empty:
                    self.run_now()
            except UserError as error:
                # For example a full disk: the last run stays in force, and the next act tries again.
                _LOG.warning("consensus_run_failed", reason=str(error))
            except Exception as error:
                _LOG.error("consensus_run_failed", **describe_exception(error))
            elapsed_s = time.monotonic() - started
            deadline = time.monotonic() + max(self._interval_s, _IDLE_TO_RUN_RATIO * elapsed_s)
            while not self._is_closing and time.monotonic() < deadline:
                time.sleep(min(_CLOSE_POLL_S, max(0.0, deadline - time.monotonic())))
