"""`python -m benchmarks.retrieval --data DATA`"""

from benchmarks.retrieval.command import main

main()
