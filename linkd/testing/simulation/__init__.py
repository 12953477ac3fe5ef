"""A home with everybody around it, taken step by step: `python` has no say in the order of things, a seed has.

`world.World` is a pipeline with its outsiders, producers, consumer groups, source and programs; each of its steps is one thing that one of
them does, or that happens to the machine: power fails, the process is killed, a sync fails, the disk is full, the clock jumps, an answer is
lost. What decides is the code that a home runs: the pure machines of `linkd.core` over a `linkd.store` in step mode, on the file system of
`linkd.testing.faulty_files`. There is no event loop that waits, no thread and no socket, so a history is a list of steps that plays the same
every time, and may be made shorter (`shrinking`).

What is right is not said here: a `witness.Witness` is told what everybody was told, and judges.
"""
