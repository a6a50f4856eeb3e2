"""Writes what a follower reads into the store, with the words that search finds a post by."""

from __future__ import annotations

from collections.abc import Sequence

from yearling.retrieval.index.tokens import index_tokens
from yearling.retrieval.posts.events import AuthorDeleted, Post, PostDeleted, PostEvent
from yearling.store import NewPost, PostStore


class StoreSink:
    """The `PostSink` over the store."""

    def __init__(self, posts: PostStore) -> None:
        self._posts = posts

    def apply(self, source_id: str, events: Sequence[PostEvent], cursor: str) -> None:
        """As `PostSink.apply`. Within a batch, what comes later counts."""
        new: dict[str, Post] = {}
        deleted: set[str] = set()
        authors: set[str] = set()
        for event in events:
            if isinstance(event, Post):
                new[event.uri] = event
            elif isinstance(event, PostDeleted):
                new.pop(event.uri, None)
                deleted.add(event.uri)
            elif isinstance(event, AuthorDeleted):
                gone = {uri for uri, post in new.items() if post.author == event.author}
                new = {uri: post for uri, post in new.items() if uri not in gone}
                deleted |= gone
                authors.add(event.author)
        posts = [_with_words(post) for post in new.values()]
        self._posts.apply(source_id, posts, deleted=deleted, deleted_authors=authors, cursor=cursor)


def _with_words(post: Post) -> NewPost:
    return NewPost(
        uri=post.uri,
        author=post.author,
        author_name=post.author_name,
        text=post.text,
        url=post.url,
        created_utc=post.created_utc,
        words=tuple(dict.fromkeys(index_tokens(post.text))),
    )
