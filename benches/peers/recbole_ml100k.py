"""RecBole 1.2.1 on ml-100k, on the very split of configs/ml-100k.toml, for the figures at the top of that config.

Every user's last interaction by time (ties: the later line of the file) is for test, the one before it for validation.
RecBole ranks all items that the user has not seen, as kiln does.

    pip install --no-deps recbole==1.2.1 colorlog==4.7.2 colorama texttable tabulate thop
    pip install torch==2.9.0 numpy==1.26.4 pandas==2.2.3 scipy==1.13.1 plotly psutil tqdm pyyaml
    python benches/peers/recbole_ml100k.py FOLDER/ml-100k.inter BPR NeuMF ItemKNN Pop
"""

import os
import sys
import tempfile
import types
from pathlib import Path

import torch

# What RecBole 1.2.1 still asks of older libraries, or imports and does not need here.
load = torch.load
torch.load = lambda *args, **kwargs: load(*args, **{"weights_only": False, **kwargs})
for name in ["ray", "ray.tune", "torch.utils.tensorboard"]:
    sys.modules.setdefault(name, types.ModuleType(name))
sys.modules["ray"].tune = sys.modules["ray.tune"]


class Silent:
    def __init__(self, *args, **kwargs):
        pass

    def __getattr__(self, name):
        return lambda *args, **kwargs: None


sys.modules["torch.utils.tensorboard"].SummaryWriter = Silent


def split(inter, folder):
    """Writes the three parts in RecBole's benchmark format."""
    rows = [line.split("\t") for line in Path(inter).read_text().splitlines()[1:]]
    by_user = {}
    for at, row in enumerate(rows):
        by_user.setdefault(row[0], []).append((float(row[3]), at))
    part = ["train"] * len(rows)
    for mine in by_user.values():
        mine.sort()
        if len(mine) >= 3:
            part[mine[-1][1]], part[mine[-2][1]] = "test", "valid"
    home = Path(folder) / "ml"
    home.mkdir()
    for name in ["train", "valid", "test"]:
        lines = ["user_id:token\titem_id:token"] + [f"{r[0]}\t{r[1]}" for r, p in zip(rows, part) if p == name]
        (home / f"ml.{name}.inter").write_text("\n".join(lines) + "\n")


def main():
    from recbole.quick_start import run_recbole

    inter, *models = sys.argv[1:]
    inter = Path(inter).resolve()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)  # it writes a log wherever it is
        split(inter, folder)
        for model in models or ["BPR"]:
            config = {
                "data_path": folder,
                "benchmark_filename": ["train", "valid", "test"],
                "load_col": {"inter": ["user_id", "item_id"]},
                "metrics": ["Recall", "NDCG", "MRR", "Hit"],
                "topk": [10],
                "valid_metric": "NDCG@10",
                "eval_args": {"mode": "full", "order": "RO", "group_by": "user", "split": {"RS": [8, 1, 1]}},
                "checkpoint_dir": folder + "/saved",
                "show_progress": False,
                "use_gpu": False,
                "state": "WARNING",
                "metric_decimal_place": 4,
                "nproc": 1,
            }
            result = run_recbole(model=model, dataset="ml", config_dict=config, saved=model not in ["ItemKNN", "Pop"])
            print(model, "valid", dict(result["best_valid_result"]), "test", dict(result["test_result"]), flush=True)


main()
