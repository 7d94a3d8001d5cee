"""Running the stages and telling what came out: parameters, runner, pages, timing, front page.

Nothing here computes an output of a stage, so no stage depends on it.
"""
