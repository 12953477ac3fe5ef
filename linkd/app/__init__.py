"""Where the parts become a program: reading the pipeline file, building, running and draining, and the verbs of the command line.

Here lives what touches the world on behalf of a whole pipeline: files beside the pipeline file, processes, signals, HTTP. Decisions about
what a file means or what has to run are made in `core`; this package fetches what they need and carries out what they say.
"""
