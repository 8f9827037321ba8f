"""Preparing a table: kiln beside pandas and scikit-learn, alternating in one run; medians.

Both read the file, split the rows, fit on the training split what fills, scales and encodes, transform every row and
write 32-bit features to the disk. Wall time and peak memory are those of the whole process.

Run: pip install pandas pyarrow scikit-learn; cargo build --release
     python3 benches/cleaning.py target/release/kiln [adult] [flights] [--rounds 3]

Without a name it is adult alone: on the 3,000,000 flights scikit-learn's side grew past 14 GiB and had to be stopped.
"""

import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

# The data set, its target, and its columns by type as kiln tells them.
TABLES = {
    "adult": ("income", "classification",
              ["age", "fnlwgt", "educational-num", "capital-gain", "capital-loss", "hours-per-week"],
              ["workclass", "education", "marital-status", "occupation", "relationship", "race", "gender",
               "native-country"], [], []),
    "flights": ("delay", "regression", ["distance"], [], ["origin", "destination"], ["date"]),
}


def peer(path, name, out):
    import numpy as np
    import pandas as pd
    from sklearn.compose import ColumnTransformer
    from sklearn.impute import SimpleImputer
    from sklearn.model_selection import train_test_split
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler, TargetEncoder

    target, task, numeric, one_hot, encoded, dates = TABLES[name]
    frame = pd.read_parquet(path).replace("?", np.nan)
    y = frame.pop(target)
    y = (y == y.max()).astype("f4") if task == "classification" else y.astype("f4")
    for column in dates:
        day, time = frame[column].dt, frame.pop(column)
        frame["elapsed"] = (time - pd.Timestamp(0)) / pd.Timedelta(days=1)
        cycles = {"month": (day.month - 1, 12), "day": (day.day - 1, 31), "weekday": (day.day_of_week, 7), "hour": (day.hour, 24)}
        for part, (value, period) in cycles.items():
            frame[part + "_sin"], frame[part + "_cos"] = np.sin(2 * np.pi * value / period), np.cos(2 * np.pi * value / period)
        numeric = [*numeric, "elapsed"]
    fill = SimpleImputer(strategy="constant", fill_value="(missing)")
    columns = ColumnTransformer([
        ("numeric", make_pipeline(SimpleImputer(strategy="median"), StandardScaler()), numeric),
        ("one-hot", make_pipeline(fill, OneHotEncoder(sparse_output=False, handle_unknown="ignore")), one_hot),
        ("target", make_pipeline(TargetEncoder(smooth=10.0), StandardScaler()), encoded),
    ], remainder="passthrough")
    rows, held_out, labels, others = train_test_split(frame, y, test_size=0.1, random_state=1)
    np.save(out / "train.npy", columns.fit_transform(rows, labels).astype("f4"))
    np.save(out / "validation.npy", columns.transform(held_out).astype("f4"))
    labels.to_numpy().tofile(out / "train.y")
    others.to_numpy().tofile(out / "validation.y")


def measured(command, **more):
    """Wall seconds and peak MiB of a process."""
    started = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, **more)
    said = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    assert status == 0, said.decode()
    return time.perf_counter() - started, usage.ru_maxrss / 1024


def main(kiln, names, rounds):
    import pyarrow.parquet

    for name in names or ["adult"]:
        fetched = subprocess.run([kiln, "data", "fetch", name, "--json", "--quiet"], check=True, capture_output=True)
        path = json.loads(fetched.stdout)["files"][0]
        rows = pyarrow.parquet.ParquetFile(path).metadata.num_rows
        target, task, *_ = TABLES[name]
        found = {"kiln": [], "pandas + scikit-learn": []}
        for _ in range(rounds):
            with tempfile.TemporaryDirectory() as folder:
                folder = pathlib.Path(folder)
                config = folder / "table.toml"
                config.write_text(f'[data]\ntask = "{task}"\ntarget = "{target}"\nsource = {{ path = "{path}" }}\n'
                                  f'format = "parquet"\n[model]\nkind = "mlp"\n[train]\nsteps = 1\n')
                environment = os.environ | {"KILN_CACHE": str(folder / "cache")}
                found["kiln"].append(measured([kiln, "data", "fetch", str(config)], env=environment))
                found["pandas + scikit-learn"].append(measured([sys.executable, __file__, "--peer", path, name, folder]))
        for who, runs in found.items():
            seconds, peak = (statistics.median(values) for values in zip(*runs))
            print(f"{name}, {rows:,} rows, {who}: {seconds:.2f} s, {rows / seconds:,.0f} rows/s, peak {peak:,.0f} MiB", flush=True)


if __name__ == "__main__":
    if sys.argv[1] == "--peer":
        peer(sys.argv[2], sys.argv[3], pathlib.Path(sys.argv[4]))
    else:
        args = sys.argv[2:]
        rounds = int(args[args.index("--rounds") + 1]) if "--rounds" in args else 3
        main(sys.argv[1], [name for name in args if name in TABLES], rounds)
