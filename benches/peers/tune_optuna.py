"""Optuna's TPE (its default, independent) on one test function: the best value of every seed, one a line.

    pip install optuna
    python benches/peers/tune_optuna.py branin 50 30
"""

import math
import sys

import optuna


def branin(u):
    x, y = 15 * u[0] - 5, 15 * u[1]
    a = y - 5.1 / (4 * math.pi**2) * x * x + 5 / math.pi * x - 6
    return a * a + 10 * (1 - 1 / (8 * math.pi)) * math.cos(x) + 10


def hartmann6(u):
    weights = [1.0, 1.2, 3.0, 3.2]
    narrow = [[10, 3, 17, 3.5, 1.7, 8], [0.05, 10, 17, 0.1, 8, 14], [3, 3.5, 1.7, 10, 17, 8], [17, 8, 0.05, 10, 0.1, 14]]
    centres = [
        [1312, 1696, 5569, 124, 8283, 5886],
        [2329, 4135, 8307, 3736, 1004, 9991],
        [2348, 1451, 3522, 2883, 3047, 6650],
        [4047, 8828, 8732, 5743, 1091, 381],
    ]
    hill = lambda i: math.exp(-sum(narrow[i][j] * (u[j] - centres[i][j] * 1e-4) ** 2 for j in range(6)))
    return -sum(weights[i] * hill(i) for i in range(4))


def rosenbrock4(u):
    x = [15 * v - 5 for v in u]
    return sum(100 * (b - a * a) ** 2 + (1 - a) ** 2 for a, b in zip(x, x[1:]))


def ackley5(u):
    x = [65.536 * v - 32.768 for v in u]
    far = math.sqrt(sum(v * v for v in x) / len(x))
    waves = sum(math.cos(2 * math.pi * v) for v in x) / len(x)
    return -20 * math.exp(-0.2 * far) - math.exp(waves) + 20 + math.e


DIMS = {"branin": 2, "hartmann6": 6, "rosenbrock4": 4, "ackley5": 5}

name, trials, seeds = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
optuna.logging.set_verbosity(optuna.logging.ERROR)
for seed in range(seeds):
    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=seed))
    function = globals()[name]
    study.optimize(lambda t: function([t.suggest_float(f"x{i}", 0, 1) for i in range(DIMS[name])]), n_trials=trials)
    print(study.best_value)
