"""What is asked of everybody: a file for each kind of question, whose functions make its scenarios for given sizes."""
