"""The cycle: from what people agree on to a released model, as steps that can be resumed."""
