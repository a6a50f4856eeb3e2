"""Files and vector stores in the form of OpenAI's API: documents of a person's library, and collections of them."""
