"""Do citations point at the sentence that answers, and are altered words found?"""
