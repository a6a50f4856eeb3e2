"""Records of the learning loop: feedback, consensus, lessons, training, exams, gates."""
