"""The study of bounds: one task of it at toy size."""

import numpy as np

from metamimo.experiments.config import Experiment
from metamimo.experiments.tasks import Task
from metamimo.papers.bound_gaps import gaps
from metamimo.papers.bound_gaps.declared import RATIO, VARIABLES
from metamimo.papers.sim_miso_ee.scenario import SimMiso


def test_a_task_holds_both_bounds_and_all_times():
    study = gaps.sim_miso("quick")
    tiny = SimMiso(n_elements=9, n_ports=2, n_users=2, min_rate=0.0)
    choice = study.experiment.schemes[0]
    quick = choice.model_copy(update={"options": {"starts": 1, "dpc_iterations": 0}})
    experiment = Experiment.model_validate(
        {**dict(study.experiment), "scenario": tiny, "schemes": (quick,), "claims": ()}
    )
    results = gaps.compute_sim_miso(experiment, Task(0, (1, 0, 1), 0, 2, 2))
    assert set(results) == {variable.name for variable in VARIABLES}
    assert all(np.asarray(values).shape == (2,) for values in results.values())
    tight, cheap = results[RATIO], results["cheap_over_design"]
    assert (tight >= 1).all()
    assert (tight <= cheap).all()
    np.testing.assert_allclose(results["design_over_tight"] * tight, 1)
    assert all((results[f"seconds_{name}"] > 0).all() for name in ("tight", "cheap", "design"))
