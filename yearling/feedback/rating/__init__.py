"""What a person should judge next, who judges, and how well people know what others prefer."""
