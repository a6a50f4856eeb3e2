"""Every route of the API with what a call needs, for the suites that call all of them.

A route that is missing here fails the suite. `reach` states whose data a route touches:

- `open`     needs no authentication, and contains no one's data;
- `common`   everyone with the role sees the same, and nothing private;
- `mine`     concerns the caller's own data, whoever calls;
- `owned`    its path or body names an object of one person, which does not exist for anyone else.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.api.document_routes import DOCUMENT_ROUTES
from tests.api.route_record import UNKNOWN, Ids, Route
from tests.api.route_record import route as _route

_DISCARD = f"/v1/cycles/{UNKNOWN}/discard"


def _chat(_: Ids) -> Any:
    return {"model": "fake-model", "messages": [{"role": "user", "content": "Hello"}]}


def _fixed(**fields: Any) -> Callable[[Ids], Any]:
    return lambda _: fields


# The owner of the objects calls the routes in this order, so routes that delete come last.
ROUTES: tuple[Route, ...] = (
    # The models
    _route("POST /v1/chat/completions", "mine", "member", "chat", _chat),
    _route("POST /v1/completions", "mine", "member", "chat", _fixed(model="fake-model", prompt="Hello")),
    _route("POST /v1/embeddings", "common", "member", "chat", _fixed(model="fake-model", input="Hello"), answers=(200, 400)),
    _route("POST /v1/responses", "owned", "member", "chat", lambda ids: {"input": "x", "previous_response_id": ids["response"]}),
    _route("GET /v1/responses/{response_id}", "owned", "reader", "read", at="/v1/responses/{response}"),
    _route("GET /v1/models", "common", "reader", "read"),
    _route("GET /v1/models/{model}", "common", "reader", "read", at="/v1/models/fake-model"),
    # Conversations of OpenAI's API
    _route("POST /v1/conversations", "mine", "member", "chat", _fixed(items=[{"role": "user", "content": "Hello"}])),
    _route("GET /v1/conversations/{conversation_id}", "owned", "reader", "read", at="/v1/conversations/{api_conversation}"),
    _route(
        "POST /v1/conversations/{conversation_id}",
        "owned",
        "member",
        "chat",
        _fixed(metadata={"a": "b"}),
        at="/v1/conversations/{api_conversation}",
    ),
    _route(
        "GET /v1/conversations/{conversation_id}/items",
        "owned",
        "reader",
        "read",
        at="/v1/conversations/{api_conversation}/items",
    ),
    _route(
        "POST /v1/conversations/{conversation_id}/items",
        "owned",
        "member",
        "chat",
        _fixed(items=[{"role": "user", "content": "Hello"}]),
        at="/v1/conversations/{api_conversation}/items",
    ),
    _route(
        "GET /v1/conversations/{conversation_id}/items/{item_id}",
        "owned",
        "reader",
        "read",
        at="/v1/conversations/{api_conversation}/items/{api_item}",
    ),
    # Chats
    _route("GET /v1/chats", "mine", "reader", "read"),
    _route("POST /v1/chats", "owned", "member", "chat", lambda ids: {"title": "t", "folder": ids["folder"]}),
    _route("GET /v1/chats/{conversation_id}", "owned", "reader", "read", at="/v1/chats/{conversation}"),
    _route(
        "PATCH /v1/chats/{conversation_id}",
        "owned",
        "member",
        "chat",
        _fixed(title="another"),
        at="/v1/chats/{conversation}",
    ),
    _route(
        "POST /v1/chats/{conversation_id}/turns",
        "owned",
        "member",
        "chat",
        lambda ids: {"text": "More", "message": ids["answer"]},
        at="/v1/chats/{conversation}/turns",
    ),
    _route(
        "POST /v1/chats/{conversation_id}/messages/{message_id}/edit",
        "owned",
        "member",
        "feedback",
        _fixed(text="Better words"),
        at="/v1/chats/{conversation}/messages/{answer}/edit",
    ),
    _route(
        "GET /v1/chats/{conversation_id}/messages/{message_id}/attachments/{sha256}",
        "owned",
        "reader",
        "read",
        at="/v1/chats/{file_conversation}/messages/{file_message}/attachments/{file}",
    ),
    _route("POST /v1/temporary/turns", "mine", "member", "chat", _fixed(messages=[{"role": "user", "text": "Hello"}])),
    _route("GET /v1/turns/{turn_id}", "owned", "member", "chat", at="/v1/turns/{turn}"),
    _route("GET /v1/turns/{turn_id}/events", "owned", "member", "chat", at="/v1/turns/{turn}/events"),
    _route("POST /v1/turns/{turn_id}/stop", "owned", "member", "chat", at="/v1/turns/{turn}/stop"),
    _route("GET /v1/comparisons/{comparison_id}", "owned", "reader", "read", at="/v1/comparisons/{comparison}"),
    _route(
        "POST /v1/comparisons/{comparison_id}/choice",
        "owned",
        "member",
        "feedback",
        _fixed(outcome="left"),
        at="/v1/comparisons/{comparison}/choice",
    ),
    _route("GET /v1/folders", "mine", "reader", "read"),
    _route("POST /v1/folders", "mine", "member", "chat", _fixed(name="New")),
    _route("PATCH /v1/folders/{folder_id}", "owned", "member", "chat", _fixed(name="Other"), at="/v1/folders/{folder}"),
    _route("GET /v1/shares", "mine", "reader", "read"),
    _route("POST /v1/shares", "owned", "member", "chat", lambda ids: {"conversation": ids["conversation"]}),
    # The link itself grants access. A guessed link shows nothing.
    _route("GET /v1/shared/{share_id}", "open", None, "read", at=f"/v1/shared/{UNKNOWN}", answers=(404,)),
    _route("POST /v1/import", "mine", "member", "chat", _fixed(nothing="known"), answers=(400,)),
    _route("GET /v1/export", "mine", "reader", "read"),
    # Memory, modes, settings
    _route("GET /v1/memories", "mine", "reader", "read"),
    _route("POST /v1/memories", "mine", "member", "chat", _fixed(text="I like tea.")),
    _route("PATCH /v1/memories/{memory_id}", "owned", "member", "chat", _fixed(active=False), at="/v1/memories/{memory}"),
    _route("GET /v1/corrections", "mine", "reader", "read"),
    _route("GET /v1/corrections/matching", "common", "reader", "read"),
    _route(
        "POST /v1/corrections",
        "owned",
        "member",
        "chat",
        lambda ids: {"question": "1", "answer": "2", "message": ids["answer"]},
    ),
    _route("POST /v1/corrections/check", "mine", "member", "chat", _fixed(question="1", answer="2")),
    _route("POST /v1/corrections/import", "mine", "member", "chat", file=b"Why?,So"),
    _route("GET /v1/corrections/export", "mine", "reader", "read"),
    _route("GET /v1/corrections/{correction_id}", "owned", "reader", "read", at="/v1/corrections/{correction}"),
    _route(
        "PATCH /v1/corrections/{correction_id}",
        "owned",
        "member",
        "chat",
        _fixed(active=False),
        at="/v1/corrections/{correction}",
    ),
    _route("POST /v1/corrections/{correction_id}/confirm", "owned", "member", "chat", at="/v1/corrections/{correction}/confirm"),
    _route("GET /v1/corrections/{correction_id}/history", "owned", "reader", "read", at="/v1/corrections/{correction}/history"),
    _route("GET /v1/modes", "common", "reader", "read"),
    _route("POST /v1/modes", "common", "maintainer", "admin", _fixed(name="brief", title="Brief", text="Be brief.")),
    _route("DELETE /v1/modes/{name}", "common", "maintainer", "admin", at="/v1/modes/unknown", answers=(404,)),
    _route("GET /v1/settings", "mine", "reader", "read"),
    _route("GET /v1/lookup", "common", "reader", "read"),
    _route("PATCH /v1/settings", "mine", "member", "chat", _fixed(length="short"), answers=(200, 400)),
    # Sign-in
    _route("GET /v1/auth", "open", None, "read"),
    _route("POST /v1/auth/login", "open", None, "read", _fixed(name="nobody", password="wrong"), answers=(401,)),
    _route("POST /v1/auth/invitation", "open", None, "read", _fixed(invitation="unknown"), answers=(404,)),
    _route(
        "POST /v1/auth/signup",
        "open",
        None,
        "read",
        _fixed(invitation="unknown", name="Eve", password="long enough"),
        answers=(404,),
    ),
    _route("POST /v1/auth/oidc/start", "open", None, "read", _fixed(), answers=(404,)),
    _route("GET /v1/auth/oidc/callback", "open", None, "read", answers=(303,)),
    _route("POST /v1/auth/logout", "open", None, "read"),
    # The caller's own account
    _route("GET /v1/me", "mine", "reader", "read"),
    _route("PUT /v1/me/password", "mine", "reader", "admin", _fixed(new="short"), answers=(400,)),
    _route("POST /v1/me/delete", "mine", "reader", "admin", _fixed(name="not mine"), answers=(400,)),
    _route("GET /v1/me/sessions", "mine", "reader", "admin"),
    _route("DELETE /v1/me/sessions/{session_id}", "owned", "reader", "admin", at="/v1/me/sessions/{session}"),
    _route("DELETE /v1/me/sessions", "mine", "reader", "admin"),
    _route("GET /v1/keys", "mine", "reader", "admin"),
    _route("POST /v1/keys", "mine", "reader", "admin", _fixed(name="new", scopes=["admin"])),
    _route("DELETE /v1/keys/{key_id}", "owned", "reader", "admin", at="/v1/keys/{key}"),
    # People
    _route("GET /v1/people", "common", "member", "read"),
    _route("GET /v1/people/{person_id}", "common", "member", "read", at="/v1/people/{person}"),
    _route("PATCH /v1/people/{person_id}", "common", "owner", "admin", _fixed(role="member"), at="/v1/people/{person}"),
    _route("DELETE /v1/people/{person_id}/access", "common", "owner", "admin", at=f"/v1/people/{UNKNOWN}/access", answers=(404,)),
    _route("DELETE /v1/people/{person_id}", "common", "owner", "admin", at=f"/v1/people/{UNKNOWN}", answers=(404,)),
    _route("GET /v1/invitations", "common", "maintainer", "admin"),
    _route("POST /v1/invitations", "common", "maintainer", "admin", _fixed(role="reader")),
    _route(
        "DELETE /v1/invitations/{invitation_id}", "common", "maintainer", "admin", at=f"/v1/invitations/{UNKNOWN}", answers=(404,)
    ),
    # Feedback. An unjudged answer belongs to its person; judgements are public, under pseudonyms.
    _route("POST /v1/feedback/ratings", "owned", "member", "feedback", lambda ids: {"item": ids["sample"], "value": 1}),
    _route(
        "POST /v1/feedback/comparisons",
        "owned",
        "member",
        "feedback",
        lambda ids: {"left": ids["left_sample"], "right": ids["right_sample"], "outcome": "left"},
    ),
    _route("POST /v1/feedback/edits", "owned", "member", "feedback", lambda ids: {"item": ids["edit_sample"], "text": "Words"}),
    _route("POST /v1/feedback/notes", "owned", "member", "feedback", lambda ids: {"item": ids["note_sample"], "text": "Words"}),
    _route("GET /v1/feedback/notes", "common", "reader", "read"),
    _route("POST /v1/feedback/removals", "common", "member", "feedback", _fixed(event=UNKNOWN, reason="r"), answers=(404,)),
    _route("POST /v1/feedback/juries", "common", "member", "feedback", _fixed(item=UNKNOWN), answers=(404,)),
    _route("GET /v1/feedback/notes/{note_id}", "common", "reader", "read", at=f"/v1/feedback/notes/{UNKNOWN}", answers=(404,)),
    _route(
        "POST /v1/feedback/notes/{note_id}/ratings",
        "common",
        "member",
        "feedback",
        _fixed(value=1),
        at=f"/v1/feedback/notes/{UNKNOWN}/ratings",
        answers=(404,),
    ),
    _route("GET /v1/feedback/juries/{item}", "common", "reader", "read", at=f"/v1/feedback/juries/{UNKNOWN}", answers=(404,)),
    _route("GET /v1/feedback/queue", "mine", "reader", "read"),
    _route("GET /v1/rating/next", "mine", "member", "feedback"),
    _route("GET /v1/rating/report", "mine", "reader", "read"),
    _route("POST /v1/feedback/guesses", "mine", "member", "feedback", _fixed(item=UNKNOWN, guess="helpful"), answers=(404,)),
    _route("DELETE /v1/feedback/events/{event_id}", "owned", "member", "feedback", at="/v1/feedback/events/{event}"),
    _route("GET /v1/consensus", "common", "reader", "read"),
    _route("GET /v1/consensus/log", "common", "reader", "read"),
    _route("GET /v1/consensus/items/{item}", "common", "reader", "read", at=f"/v1/consensus/items/{UNKNOWN}", answers=(200, 404)),
    # Offers of answers
    _route("GET /v1/offers/preview", "owned", "member", "feedback", at="/v1/offers/preview?item={offer_sample}"),
    _route("POST /v1/offers", "owned", "member", "feedback", lambda ids: {"item": ids["offer_sample"]}),
    _route("GET /v1/offers", "mine", "member", "feedback"),
    # Question rounds, which a whole team shares
    _route(
        "POST /v1/rounds",
        "common",
        "maintainer",
        "admin",
        _fixed(title="Round", questions=[{"question": "Why?"}]),
        answers=(200, 409),
    ),
    _route("POST /v1/rounds/questions", "common", "maintainer", "admin", _fixed(csv="Why?")),
    _route("GET /v1/rounds/suggestions", "common", "maintainer", "admin", at="/v1/rounds/suggestions?source=offers"),
    _route("GET /v1/rounds", "common", "reader", "read"),
    _route("GET /v1/rounds/{round_id}", "common", "reader", "read", at=f"/v1/rounds/{UNKNOWN}", answers=(404,)),
    _route("POST /v1/rounds/{round_id}/close", "common", "maintainer", "admin", at=f"/v1/rounds/{UNKNOWN}/close", answers=(404,)),
    _route("DELETE /v1/rounds/{round_id}", "common", "maintainer", "admin", at=f"/v1/rounds/{UNKNOWN}", answers=(404,)),
    # Training and exams
    _route("POST /v1/jobs", "common", "maintainer", "admin", lambda ids: {"kind": "nothing"}, answers=(404,)),
    _route("GET /v1/jobs", "common", "reader", "read"),
    _route("GET /v1/jobs/kinds", "common", "reader", "read"),
    _route("GET /v1/jobs/{job_id}", "common", "reader", "read", at=f"/v1/jobs/{UNKNOWN}", answers=(404,)),
    _route("GET /v1/jobs/{job_id}/log", "common", "maintainer", "admin", at=f"/v1/jobs/{UNKNOWN}/log", answers=(404,)),
    _route("POST /v1/jobs/{job_id}/cancel", "common", "maintainer", "admin", at=f"/v1/jobs/{UNKNOWN}/cancel", answers=(404,)),
    _route("GET /v1/cycles", "common", "reader", "read"),
    _route("GET /v1/cycles/plan", "common", "maintainer", "admin"),
    _route("PUT /v1/cycles/schedule", "common", "maintainer", "admin", lambda ids: {"at": ""}),
    _route("POST /v1/cycles/{cycle_id}/discard", "common", "maintainer", "admin", at=_DISCARD, answers=(404,)),
    _route("GET /v1/cycles/{cycle_id}", "common", "reader", "read", at=f"/v1/cycles/{UNKNOWN}", answers=(404,)),
    _route("GET /v1/runs", "common", "reader", "read"),
    _route("GET /v1/runs/{run_id}", "common", "reader", "read", at="/v1/runs/none", answers=(404,)),
    _route("GET /v1/runs/{run_id}/metrics", "common", "reader", "read", at="/v1/runs/none/metrics", answers=(404,)),
    _route("GET /v1/runs/{run_id}/metrics/stream", "common", "reader", "read", at="/v1/runs/none/metrics/stream", answers=(404,)),
    _route("POST /v1/runs/{run_id}/stop", "common", "maintainer", "admin", at="/v1/runs/none/stop", answers=(404,)),
    _route("POST /v1/runs/{run_id}/resume", "common", "maintainer", "admin", at="/v1/runs/none/resume", answers=(404,)),
    _route("GET /v1/lessons", "common", "reader", "read"),
    _route("POST /v1/lessons", "common", "maintainer", "admin", answers=(200, 409)),
    _route("GET /v1/lessons/build", "common", "reader", "read"),
    _route("GET /v1/lessons/ready", "common", "reader", "read"),
    _route("GET /v1/lessons/{set_id}", "common", "reader", "read", at=f"/v1/lessons/{UNKNOWN}", answers=(404,)),
    _route(
        "GET /v1/lessons/{set_id}/diff/{other_id}",
        "common",
        "reader",
        "read",
        at=f"/v1/lessons/{UNKNOWN}/diff/{UNKNOWN}",
        answers=(404,),
    ),
    _route("GET /v1/spec", "common", "reader", "read"),
    _route("GET /v1/spec/clauses/{clause_id}", "common", "reader", "read", at="/v1/spec/clauses/none", answers=(404,)),
    _route("GET /v1/spec/cases", "common", "reader", "read"),
    _route("GET /v1/spec/runs", "common", "reader", "read"),
    _route("GET /v1/spec/runs/{run_id}", "common", "reader", "read", at=f"/v1/spec/runs/{UNKNOWN}", answers=(404,)),
    _route(
        "GET /v1/spec/runs/{run_id}/outputs", "common", "reader", "read", at=f"/v1/spec/runs/{UNKNOWN}/outputs", answers=(404,)
    ),
    _route(
        "POST /v1/spec/outputs/{output_id}/disputes",
        "common",
        "member",
        "feedback",
        _fixed(claim="policy", reason="r"),
        at=f"/v1/spec/outputs/{UNKNOWN}/disputes",
        answers=(400, 404),
    ),
    _route("GET /v1/spec/disputes", "common", "reader", "read"),
    _route("GET /v1/exams", "common", "reader", "read"),
    _route("GET /v1/exams/gates", "common", "reader", "read"),
    _route(
        "GET /v1/exams/compare",
        "common",
        "reader",
        "read",
        at=f"/v1/exams/compare?champion={UNKNOWN}&challenger={UNKNOWN}",
        answers=(404,),
    ),
    _route("GET /v1/exams/{run}", "common", "reader", "read", at=f"/v1/exams/{UNKNOWN}", answers=(404,)),
    # Releases
    _route("GET /v1/releases", "common", "reader", "read"),
    _route("GET /v1/releases/status", "common", "reader", "read"),
    _route("GET /v1/releases/canary", "common", "reader", "read", answers=(404,)),
    _route("GET /v1/releases/keys", "common", "reader", "read", answers=(404,)),
    _route("GET /v1/releases/{number}", "common", "reader", "read", at="/v1/releases/7", answers=(404,)),
    _route("POST /v1/releases", "common", "maintainer", "admin", _fixed(model="fake-model"), answers=(404,)),
    *(
        _route(
            f"POST /v1/releases/{{number}}/{verb}",
            "common",
            "maintainer",
            "admin",
            _fixed(),
            at=f"/v1/releases/7/{verb}",
            answers=(404,),
        )
        for verb in ("promote", "rollback", "withdraw", "canary", "end-canary")
    ),
    _route(
        "GET /v1/releases/changes/{change_id}/payload",
        "common",
        "member",
        "admin",
        at="/v1/releases/changes/none/payload",
        answers=(404,),
    ),
    _route(
        "POST /v1/releases/changes/{change_id}/signatures",
        "common",
        "member",
        "admin",
        _fixed(),
        at="/v1/releases/changes/none/signatures",
        answers=(404,),
    ),
    _route(
        "DELETE /v1/releases/changes/{change_id}", "common", "member", "admin", at="/v1/releases/changes/none", answers=(404,)
    ),
    _route("POST /v1/releases/stop", "common", "member", "admin", _fixed(), answers=(404,)),
    _route("POST /v1/releases/resume", "common", "member", "admin", _fixed(), answers=(404,)),
    _route("POST /v1/releases/renew", "common", "maintainer", "admin", _fixed(), answers=(404,)),
    _route("POST /v1/releases/keys", "common", "member", "admin", _fixed(), answers=(404,)),
    _route("POST /v1/releases/keys/holders", "common", "maintainer", "admin", _fixed(), answers=(404,)),
    _route("POST /v1/releases/keys/threshold", "common", "maintainer", "admin", _fixed(threshold=1), answers=(404,)),
    _route(
        "POST /v1/releases/keys/{key_id}/protect",
        "common",
        "member",
        "admin",
        _fixed(passphrase="x"),
        at="/v1/releases/keys/none/protect",
        answers=(404,),
    ),
    _route(
        "POST /v1/releases/keys/{key_id}/revoke",
        "common",
        "maintainer",
        "admin",
        _fixed(),
        at="/v1/releases/keys/none/revoke",
        answers=(404,),
    ),
    # Incidents, the audit and lineage
    _route("POST /v1/incidents", "owned", "member", "feedback", lambda ids: {"item": ids["event_sample"]}, answers=(200, 409)),
    _route("GET /v1/incidents", "mine", "member", "read"),
    _route(
        "POST /v1/incidents/{incident_id}/accept",
        "common",
        "maintainer",
        "admin",
        _fixed(question="x", must_contain=["y"]),
        at="/v1/incidents/none/accept",
        answers=(404,),
    ),
    _route(
        "POST /v1/incidents/{incident_id}/dismiss",
        "common",
        "maintainer",
        "admin",
        _fixed(),
        at="/v1/incidents/none/dismiss",
        answers=(404,),
    ),
    _route("GET /v1/audit", "common", "reader", "read"),
    _route("GET /v1/audit/export", "common", "reader", "read"),
    _route("GET /v1/lineage/models/{model}", "common", "reader", "read", at="/v1/lineage/models/none", answers=(404,)),
    _route("GET /v1/lineage/people/me", "mine", "reader", "read"),
    # The Models page
    _route("GET /v1/model-library", "common", "owner", "admin"),
    _route("PUT /v1/model-library/default", "common", "owner", "admin", _fixed(model="fake-model")),
    _route("GET /v1/model-library/pulls", "common", "owner", "admin"),
    _route("POST /v1/model-library/pulls", "common", "owner", "admin", _fixed(model="unknown"), answers=(404,)),
    _route(
        "GET /v1/model-library/pulls/{model}", "common", "owner", "admin", at="/v1/model-library/pulls/unknown", answers=(404,)
    ),
    _route(
        "DELETE /v1/model-library/pulls/{model}", "common", "owner", "admin", at="/v1/model-library/pulls/unknown", answers=(404,)
    ),
    _route("GET /v1/endpoints", "common", "owner", "admin"),
    _route("POST /v1/endpoints", "common", "owner", "admin", _fixed(name="remote", url="http://127.0.0.1:9/v1"), answers=(400,)),
    _route("POST /v1/endpoints/test", "common", "owner", "admin", _fixed(url="http://127.0.0.1:9/v1")),
    _route(
        "POST /v1/endpoints/{name}/test", "common", "owner", "admin", _fixed(), at="/v1/endpoints/unknown/test", answers=(404,)
    ),
    _route("DELETE /v1/endpoints/{name}", "common", "owner", "admin", at="/v1/endpoints/unknown", answers=(404,)),
    # The server
    _route("GET /healthz", "open", None, "read"),
    _route("GET /readyz", "open", None, "read"),
    _route("GET /metrics", "common", "reader", "read"),
    # Routes that delete objects
    _route("DELETE /v1/memories/{memory_id}", "owned", "member", "chat", at="/v1/memories/{memory}"),
    _route("DELETE /v1/memories", "mine", "member", "chat"),
    _route("DELETE /v1/corrections/{correction_id}", "owned", "member", "chat", at="/v1/corrections/{correction}"),
    _route("DELETE /v1/corrections", "mine", "member", "chat"),
    *DOCUMENT_ROUTES,
    _route("DELETE /v1/shares/{share_id}", "owned", "member", "chat", at="/v1/shares/{share}"),
    _route("DELETE /v1/offers/{offer_id}", "owned", "member", "feedback", at="/v1/offers/{offer}"),
    _route("DELETE /v1/folders/{folder_id}", "owned", "member", "chat", at="/v1/folders/{folder}"),
    _route(
        "DELETE /v1/chats/{conversation_id}/messages/{message_id}",
        "owned",
        "member",
        "chat",
        at="/v1/chats/{conversation}/messages/{answer}",
    ),
    _route("DELETE /v1/chats/{conversation_id}", "owned", "member", "chat", at="/v1/chats/{conversation}"),
    _route(
        "DELETE /v1/conversations/{conversation_id}/items/{item_id}",
        "owned",
        "member",
        "chat",
        at="/v1/conversations/{api_conversation}/items/{api_item}",
    ),
    _route("DELETE /v1/conversations/{conversation_id}", "owned", "member", "chat", at="/v1/conversations/{api_conversation}"),
    _route("DELETE /v1/responses/{response_id}", "owned", "member", "chat", at="/v1/responses/{response}"),
)
