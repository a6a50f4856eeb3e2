"""Notes and lesson sets as lists, and what of them is told to whom."""

from __future__ import annotations

from tests.api.conftest import Maker
from yearling.api.feedback import schemas
from yearling.api.learning.lesson_schemas import LessonSetDetail, LessonSetDifference, LessonSetList
from yearling.feedback import FeedbackLog
from yearling.store import LessonSource


async def test_notes_are_listed_newest_first_and_by_whose_they_are(bench: Maker) -> None:
    async with bench() as api:
        item = (await api.chat("Question")).json()["id"]
        mine = [
            (await api.client.post("/v1/feedback/notes", json={"item": item, "text": f"Mine {n}"})).json()["id"] for n in range(3)
        ]
        other, ben = FeedbackLog(api.store), api.store.people.add("Ben").id
        sample = api.samples()[0].id
        # Only who got an answer can note it, or everybody once the log knows it.
        theirs = other.add_note(ben, sample, "Theirs").note

        async def listed(**query: object) -> schemas.NoteList:
            reply = await api.client.get("/v1/feedback/notes", params={name: str(value) for name, value in query.items()})
            assert reply.status_code == 200, reply.text
            return schemas.NoteList.model_validate(reply.json())

        everything = await listed()
        assert [one.id for one in everything.data] == [theirs, *reversed(mine)]
        assert [one.id for one in (await listed(yours=True)).data] == list(reversed(mine))
        assert [one.text for one in (await listed(yours=False)).data] == ["Theirs"]
        assert [one.id for one in (await listed(item=item, limit=1)).data] == [theirs]
        assert (await listed(item="nothing")).data == []

        first = await listed(limit=3)
        rest = await listed(limit=3, after=first.next)
        assert [one.id for one in (*first.data, *rest.data)] == [theirs, *reversed(mine)]
        assert rest.next is None

        assert everything.data[0].rating is None
        rated = (await api.client.post(f"/v1/feedback/notes/{theirs}/ratings", json={"value": 0.5, "tags": ["clear"]})).json()
        own = (await listed(yours=False)).data[0].rating
        assert own is not None
        assert (own.event, own.value, own.tags) == (rated["id"], 0.5, ["clear"])

        await api.client.delete(f"/v1/feedback/events/{mine[0]}")
        assert mine[0] not in [one.id for one in (await listed()).data]


async def test_public_words_are_told_with_an_item_and_private_answers_are_not(bench: Maker) -> None:
    async with bench() as api:
        answer = (await api.chat("Question")).json()["id"]
        await api.client.post("/v1/feedback/ratings", json={"item": answer, "value": 1})
        other, ben = FeedbackLog(api.store), api.store.people.add("Ben").id
        note = other.add_note(ben, api.samples()[0].id, "Context.").note
        await api.client.post(f"/v1/feedback/notes/{note}/ratings", json={"value": 1})
        told = schemas.ItemView.model_validate((await api.client.get(f"/v1/consensus/items/{note}")).json())
        assert (told.kind, told.text) == ("note", "Context.")
        private = schemas.ItemView.model_validate((await api.client.get(f"/v1/consensus/items/{answer}")).json())
        assert (private.kind, private.text) == ("answer", None)
        listed = schemas.ConsensusView.model_validate((await api.client.get("/v1/consensus")).json())
        assert {one.kind: one.text for one in listed.items} == {"note": "Context.", "answer": None}


async def test_lesson_sets_are_told_with_their_counts(bench: Maker) -> None:
    async with bench() as api:
        manifest = {
            "hash": "ab" * 32,
            "version": 3,
            "created_utc": "2026-01-02T03:04:05+00:00",
            "counts": {"train": {"pair": 4}, "heldout": {"pair": 1}},
            "consensus": {"run": 7},
        }
        report = {"judgements": {"num_seen": 9, "kept": 5, "voices": 3, "dropped": {"no_consensus": 4}}}
        api.store.lesson_sets.record(manifest, report, [])
        (told,) = LessonSetList.model_validate((await api.client.get("/v1/lessons")).json()).data
        assert (told.version, told.current, told.train, told.kept, told.people) == (3, True, {"pair": 4}, 5, 3)
        assert (told.consensus_run, told.dropped) == (7, {"no_consensus": 4})


async def test_a_lesson_set_tells_its_drops_and_what_changed_since_another(bench: Maker) -> None:
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
    async with bench() as api:
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
            }
            api.store.lesson_sets.record(manifest, report, sources)
        told = LessonSetDetail.model_validate((await api.client.get("/v1/lessons/2")).json())
        assert (told.current, told.previous, told.report.lessons_dropped) == (True, "1" * 64, {"pair": {"repeated": 2}})
        assert (told.report.judgements_seen, told.report.split["by"]) == ({"comparison": 9}, "person")
        reply = await api.client.get("/v1/lessons/1/diff/222222")
        found = LessonSetDifference.model_validate(reply.json())
        assert [one.key for one in found.came] == ["new"]
        assert [one.key for one in found.went] == ["gone"]
        assert [(one.key, one.events) for one in found.judged_otherwise] == [("other", ["e2", "e6"])]
        assert [(one.key, one.before, one.after) for one in found.moved] == [("side", "train", "heldout")]
        assert found.counts["heldout_went"] == found.counts["unchanged"] == 1
        cut = LessonSetDifference.model_validate((await api.client.get("/v1/lessons/1/diff/2?limit=0")).json())
        assert (cut.came, cut.counts) == ([], found.counts)
        assert (await api.client.get("/v1/lessons/7")).status_code == 404
