"""Lists of notes, and the texts that the consensus shows."""

from __future__ import annotations

from tests.api.conftest import ApiFactory
from tests.feedback.people import add_answers, publish
from yearling.api.feedback import schemas
from yearling.feedback import FeedbackLog


async def test_notes_are_listed_newest_first_with_filters(start_api: ApiFactory) -> None:
    async with start_api() as api:
        item = (await api.chat("Question")).json()["id"]
        own_notes = [
            (await api.client.post("/v1/feedback/notes", json={"item": item, "text": f"Mine {n}"})).json()["id"] for n in range(3)
        ]
        other, ben = FeedbackLog(api.store), api.store.people.add("Ben").id
        sample = api.samples()[0].id
        publish(other, sample)  # only the person who received an answer can note it, until its text is public
        other_note = other.add_note(ben, sample, "Theirs").note

        async def list_notes(**query: object) -> schemas.NoteList:
            response = await api.client.get("/v1/feedback/notes", params={name: str(value) for name, value in query.items()})
            assert response.status_code == 200, response.text
            return schemas.NoteList.model_validate(response.json())

        all_notes = await list_notes()
        assert [note.id for note in all_notes.data] == [other_note, *reversed(own_notes)]
        assert [note.id for note in (await list_notes(yours=True)).data] == list(reversed(own_notes))
        assert [note.text for note in (await list_notes(yours=False)).data] == ["Theirs"]
        assert [note.id for note in (await list_notes(item=item, limit=1)).data] == [other_note]
        assert (await list_notes(item="nothing")).data == []

        first = await list_notes(limit=3)
        second_page = await list_notes(limit=3, after=first.next)
        assert [note.id for note in (*first.data, *second_page.data)] == [other_note, *reversed(own_notes)]
        assert second_page.next is None

        assert all_notes.data[0].rating is None
        body = {"value": 0.5, "tags": ["clear"]}
        rating = (await api.client.post(f"/v1/feedback/notes/{other_note}/ratings", json=body)).json()
        own = (await list_notes(yours=False)).data[0].rating
        assert own is not None
        assert (own.event, own.value, own.tags) == (rating["id"], 0.5, ["clear"])

        await api.client.delete(f"/v1/feedback/events/{own_notes[0]}")
        assert own_notes[0] not in [note.id for note in (await list_notes()).data]


async def test_items_contain_public_texts_and_no_answers(start_api: ApiFactory) -> None:
    async with start_api() as api:
        answer = (await api.chat("Question")).json()["id"]
        await api.client.post("/v1/feedback/ratings", json={"item": answer, "value": 1})
        other, ben = FeedbackLog(api.store), api.store.people.add("Ben").id
        note = other.add_note(ben, add_answers(other, ben, 1)[0], "Context.").note
        await api.client.post(f"/v1/feedback/notes/{note}/ratings", json={"value": 1})
        view = schemas.ItemView.model_validate((await api.client.get(f"/v1/consensus/items/{note}")).json())
        assert (view.kind, view.text) == ("note", "Context.")
        private = schemas.ItemView.model_validate((await api.client.get(f"/v1/consensus/items/{answer}")).json())
        assert (private.kind, private.text) == ("answer", None)
        list_notes = schemas.ConsensusView.model_validate((await api.client.get("/v1/consensus")).json())
        assert {note.kind: note.text for note in list_notes.items} == {"note": "Context.", "answer": None}
