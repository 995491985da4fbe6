"""The engine: all that touches mmengine. `runner.pretrain` is its one entrance.

    config, recipe        a config file -> a checked tree with defaults -> objects
    plan, corrupt         which samples a step sees; what happens to unreadable ones
    loop, update          the steps; what one step does
    accumulate            microbatches with the gradient of the whole batch
    distributed           what ranks exchange
    checkpoints, state    what a run remembers, and how it continues
    schedule, optimizer   learning rates as functions of the step; parameter groups
    progress, provenance  what a run tells and records
    signals, command      SIGTERM; the command line

Rules of a run:

- The same command continues it. A finished run says so. A changed config is refused with the
  difference, unless `--allow-change KEY` names it.
- Exit codes: 0 finished; 143 stopped by SIGTERM after a checkpoint; 1 an error of ours; 2 wrong
  arguments; 130 Ctrl-C, without a checkpoint. A second SIGTERM kills at once.
- Raising `train.epochs` continues on the schedule of the new limit (see `schedule`).
- `loader.batch_size` counts the samples of all ranks together, so another number of ranks sees
  the same samples in the same steps; it has to be allowed by `--allow-change world_size`.
- Ranks normalise batches separately; their running batch statistics are averaged after each step.
- All ranks need to see the work folder.
"""
