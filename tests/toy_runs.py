"""The smallest parameters with which each notebook of book/runs/ does all that it does.

One entry a notebook: file name without its ending -> papermill parameters. The test adds the folder
that the run writes to, under the name that the entry gives in OUTPUT_PARAMETER.
"""

OUTPUT_PARAMETER = "output"

TOY_RUNS = {
    "free_energy": {
        "n": 8,
        "net": "MADE",
        "beta_step": 0.95,
        "steps": 10,
        "batch": 64,
        "samples": 200,
        "overlap_betas": [1.05],
    },
    "inverse": {
        "n": 8,
        "samples": 60,
        "held_out": 40,
        "burn_in": 10,
        "truth_samples": 50,
        "steps": 10,
        "batch": 20,
        "evaluations": 2,
        "keep_all": True,
    },
    "tempering": {
        "n": 8,
        "beta_step": 0.95,
        "samples": 50,
        "replicas": 4,
        "overlap_betas": [1.05],
    },
}
