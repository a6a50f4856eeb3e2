"""Lesson sets over HTTP: counts, reports, and the difference between two sets."""

from __future__ import annotations

from tests.api.conftest import ApiFactory
from yearling.api.learning.lesson_schemas import LessonSetDetail, LessonSetDifference, LessonSetList
from yearling.store import LessonSource


async def test_lesson_sets_contain_their_counts(start_api: ApiFactory) -> None:
    async with start_api() as api:
        manifest = {
            "hash": "ab" * 32,
            "version": 3,
            "created_utc": "2026-01-02T03:04:05+00:00",
            "counts": {"train": {"pair": 4}, "heldout": {"pair": 1}},
            "consensus": {"run": 7},
        }
        report = {"judgements": {"num_seen": 9, "kept": 5, "voices": 3, "dropped": {"no_consensus": 4}}}
        api.store.lesson_sets.record(manifest, report, [])
        (view,) = LessonSetList.model_validate((await api.client.get("/v1/lessons")).json()).data
        assert (view.version, view.current, view.train, view.kept, view.people) == (3, True, {"pair": 4}, 5, 3)
        assert (view.consensus_run, view.dropped) == (7, {"no_consensus": 4})


async def test_lesson_set_report_and_difference(start_api: ApiFactory) -> None:
    def lesson(key: str, *events: str, part: str = "train") -> LessonSource:
        return LessonSource(part=part, kind="pair", key=key, event_ids=events)

    before = [
        lesson("kept", "e1"),
        lesson("other", "e2"),
        lesson("gone", "e3"),
        lesson("side", "e4"),
        lesson("h", "e5", part="heldout"),
    ]
    after = [lesson("kept", "e1"), lesson("other", "e2", "e6"), lesson("new", "e7"), lesson("side", "e4", part="heldout")]
    async with start_api() as api:
        for version, sources in enumerate((before, after), 1):
            manifest = {
                "hash": f"{version}" * 64,
                "version": version,
                "created_utc": "2026-01-02T03:04:05+00:00",
                "counts": {"train": {"pair": 4}, "heldout": {}},
                "previous": None if version == 1 else "1" * 64,
            }
            report = {
                "judgements": {"seen": {"comparison": 9}, "dropped": {"no_consensus": 4}},
                "lessons": {"made": {"pair": 6}, "dropped": {"pair": {"repeated": 2}}},
                "q": {"0.9 to 1": 3},
                "split": {"share": 0.1, "by": "person", "groups": 3, "why": ""},
                "taken_back": {},
                **({"edited_by_author": ["kept", "new"]} if version == 2 else {}),  # earlier versions wrote none
            }
            api.store.lesson_sets.record(manifest, report, sources)
        view = LessonSetDetail.model_validate((await api.client.get("/v1/lessons/2")).json())
        assert (view.current, view.previous, view.report.lessons_dropped) == (True, "1" * 64, {"pair": {"repeated": 2}})
        assert (view.report.judgements_seen, view.report.split["by"]) == ({"comparison": 9}, "person")
        earlier = LessonSetDetail.model_validate((await api.client.get("/v1/lessons/1")).json())
        assert (view.report.edited_by_author, earlier.report.edited_by_author) == (2, 0)
        response = await api.client.get("/v1/lessons/1/diff/222222")
        difference = LessonSetDifference.model_validate(response.json())
        assert [entry.key for entry in difference.came] == ["new"]
        assert [entry.key for entry in difference.went] == ["gone"]
        assert [(entry.key, entry.events) for entry in difference.judged_otherwise] == [("other", ["e2", "e6"])]
        assert [(entry.key, entry.before, entry.after) for entry in difference.moved] == [("side", "train", "heldout")]
        assert difference.counts["heldout_went"] == difference.counts["unchanged"] == 1
        limited = LessonSetDifference.model_validate((await api.client.get("/v1/lessons/1/diff/2?limit=0")).json())
        assert (limited.came, limited.counts) == ([], difference.counts)
        assert (await api.client.get("/v1/lessons/7")).status_code == 404
