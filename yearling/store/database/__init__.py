"""The database: connections, schema, migrations, packing of values, search."""
