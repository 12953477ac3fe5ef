"""The file face: programs that know only files, in a process of linkd's own for each task, an ordinary client of the home.

What a program finds and leaves is said in docs/files.md. Here lives what takes snapshots, writes them as files or into a pipe, runs the
program and commits what it wrote. Nothing here knows the pipeline file, or how a run starts its processes.
"""
