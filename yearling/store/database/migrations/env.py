"""What Alembic runs for every command: on the connection and in the transaction that `migrate.py` hands over."""

from __future__ import annotations

from alembic import context

from yearling.store.database.schema import VERSION_TABLE, metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,
    transactional_ddl=True,
    version_table=VERSION_TABLE,
)
with context.begin_transaction():
    context.run_migrations()
