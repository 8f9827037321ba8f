"""Preparing a table: kiln beside pandas with scikit-learn and beside polars, alternating in one run; medians.

All of them read the file, split the rows, fit on the training split what fills, scales and encodes, transform every row
and write 32-bit features to the disk. Times and peak memory are those of the whole process. kiln alone waits until its
features are on the disk, so where that is busy only CPU times compare.

Run: pip install pandas pyarrow scikit-learn polars; cargo build --release
     python3 benches/cleaning.py target/release/kiln [adult] [flights] [--rounds 3]
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
    # Left to guess, it takes whole minutes of delay for 850 classes.
    kind = "binary" if task == "classification" else "continuous"
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
    # Filled by pandas, which is faster than scikit-learn's imputer on strings.
    frame[one_hot + encoded] = frame[one_hot + encoded].fillna("(missing)")
    columns = ColumnTransformer([
        ("numeric", make_pipeline(SimpleImputer(strategy="median"), StandardScaler()), numeric),
        ("one-hot", OneHotEncoder(sparse_output=False, handle_unknown="ignore", dtype="f4"), one_hot),
        ("target", make_pipeline(TargetEncoder(smooth=10.0, target_type=kind), StandardScaler()), encoded),
    ], remainder="passthrough")
    rows, held_out, labels, others = train_test_split(frame, y, test_size=0.1, random_state=1)
    np.save(out / "train.npy", columns.fit_transform(rows, labels).astype("f4"))
    np.save(out / "validation.npy", columns.transform(held_out).astype("f4"))
    labels.to_numpy().tofile(out / "train.y")
    others.to_numpy().tofile(out / "validation.y")


def peer_polars(path, name, out):
    import numpy as np
    import polars as pl

    target, task, numeric, one_hot, encoded, dates = TABLES[name]
    frame = pl.read_parquet(path)
    text = [column for column, kind in frame.schema.items() if kind == pl.String]
    frame = frame.with_columns(pl.when(pl.col(c) != "?").then(pl.col(c)).alias(c) for c in text)
    y = pl.col(target)
    frame = frame.with_columns(((y == y.max()) if task == "classification" else y).cast(pl.Float32).alias("__y"))
    features = []
    for column in dates:
        at, day = pl.col(column), pl.col(column).dt
        frame = frame.with_columns((at.cast(pl.Datetime("us")).cast(pl.Int64) / 86_400e6).alias("elapsed"))
        cycles = {"month": (day.month() - 1, 12), "day": (day.day() - 1, 31), "weekday": (day.weekday() - 1, 7), "hour": (day.hour(), 24)}
        for part, (value, period) in cycles.items():
            turn = 2 * np.pi * value / period
            frame = frame.with_columns(turn.sin().alias(part + "_sin"), turn.cos().alias(part + "_cos"))
            features += [part + "_sin", part + "_cos"]
        numeric = [*numeric, "elapsed"]
    rng = np.random.default_rng(1)
    frame = frame.with_columns(pl.Series("__held", rng.random(len(frame)) < 0.1), pl.Series("__fold", rng.integers(0, 5, len(frame))))
    frame = frame.with_columns(pl.col(c).fill_null("(missing)") for c in one_hot + encoded)
    rows = frame.filter(~pl.col("__held"))
    for column in numeric:
        middle = rows[column].median()
        filled = rows[column].fill_null(middle)
        frame = frame.with_columns(((pl.col(column).fill_null(middle) - filled.mean()) / filled.std(ddof=0)).alias(column))
    for column in one_hot:
        for category in rows[column].unique().sort():
            frame = frame.with_columns((pl.col(column) == category).cast(pl.Float32).alias(f"{column}={category}"))
            features.append(f"{column}={category}")
    for column in encoded:
        mean = rows["__y"].mean()
        by_fold = rows.group_by(column, "__fold").agg(pl.col("__y").sum().alias("s"), pl.len().alias("n"))
        whole = by_fold.group_by(column).agg(pl.col("s").sum(), pl.col("n").sum())
        others = by_fold.join(whole, on=column, suffix="_all").select(column, "__fold", s=pl.col("s_all") - pl.col("s"), n=pl.col("n_all") - pl.col("n"))
        means = rows.group_by("__fold").agg(pl.col("__y").sum().alias("fs"), pl.len().alias("fn"))
        total, count = rows["__y"].sum(), len(rows)
        others = others.join(means, on="__fold").with_columns(m=(total - pl.col("fs")) / (count - pl.col("fn")))
        others = others.select(column, "__fold", out=(pl.col("s") + 10 * pl.col("m")) / (pl.col("n") + 10))
        whole = whole.select(column, all=(pl.col("s") + 10 * mean) / (pl.col("n") + 10))
        frame = frame.join(whole, on=column, how="left").join(others, on=[column, "__fold"], how="left")
        frame = frame.with_columns(pl.when(pl.col("__held")).then(pl.col("all")).otherwise(pl.col("out")).fill_null(mean).alias(column)).drop("all", "out")
        kept = frame.filter(~pl.col("__held"))[column]
        frame = frame.with_columns((pl.col(column) - kept.mean()) / kept.std(ddof=0))
    for held, split in [(False, "train"), (True, "validation")]:
        part = frame.filter(pl.col("__held") == held)
        np.save(out / f"{split}.npy", part.select(pl.col(numeric + features + encoded).cast(pl.Float32)).to_numpy())
        part["__y"].to_numpy().tofile(out / f"{split}.y")


PEERS = {"pandas + scikit-learn": peer, "polars": peer_polars}


def measured(command, **more):
    """Wall seconds, CPU seconds and peak MiB of a process."""
    started = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, **more)
    said = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    assert status == 0, said.decode()
    return time.perf_counter() - started, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def main(kiln, names, rounds):
    import pyarrow.parquet

    for name in names or ["adult"]:
        fetched = subprocess.run([kiln, "data", "fetch", name, "--json", "--quiet"], check=True, capture_output=True)
        path = json.loads(fetched.stdout)["files"][0]
        rows = pyarrow.parquet.ParquetFile(path).metadata.num_rows
        target, task, *_ = TABLES[name]
        found = {"kiln": [], **{who: [] for who in PEERS}}
        for _ in range(rounds):
            with tempfile.TemporaryDirectory() as folder:
                folder = pathlib.Path(folder)
                config = folder / "table.toml"
                config.write_text(f'[data]\ntask = "{task}"\ntarget = "{target}"\nsource = {{ path = "{path}" }}\n'
                                  f'format = "parquet"\n[model]\nkind = "mlp"\n[train]\nsteps = 1\n')
                environment = os.environ | {"KILN_CACHE": str(folder / "cache")}
                found["kiln"].append(measured([kiln, "data", "fetch", str(config)], env=environment))
                for who in PEERS:
                    found[who].append(measured([sys.executable, __file__, "--peer", who, path, name, folder]))
        for who, runs in found.items():
            seconds, busy, peak = (statistics.median(values) for values in zip(*runs))
            rates = f"{seconds:.2f} s ({rows / seconds:,.0f} rows/s), {busy:.2f} s of CPU time ({rows / busy:,.0f} rows/s)"
            print(f"{name}, {rows:,} rows, {who}: {rates}, peak {peak:,.0f} MiB", flush=True)


if __name__ == "__main__":
    if sys.argv[1] == "--peer":
        PEERS[sys.argv[2]](sys.argv[3], sys.argv[4], pathlib.Path(sys.argv[5]))
    else:
        args = sys.argv[2:]
        rounds = int(args[args.index("--rounds") + 1]) if "--rounds" in args else 3
        main(sys.argv[1], [name for name in args if name in TABLES], rounds)
