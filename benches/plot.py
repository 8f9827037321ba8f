"""Draws what `cargo bench --bench scaling` measured, and the roofline with the ops of `kiln profile --json` in it.

usage: plot.py SCALING.json PROFILE.json OUT_FOLDER (needs matplotlib); writes scaling.svg, memory.svg and roofline.svg.
"""
import json
import sys

import matplotlib

matplotlib.use("Agg")
matplotlib.rcParams.update({"svg.hashsalt": "kiln", "font.size": 10, "axes.spines.top": False, "axes.spines.right": False})
import matplotlib.pyplot as plt

KILN, TORCH = "#c2410c", "#475569"
SIDES = (("kiln", "kiln (flex, f32)", KILN), ("torch", "PyTorch eager (f32)", TORCH))
DIMENSIONS = {
    "width": "width of the model",
    "layers": "layers",
    "batch": "windows a batch",
    "context": "tokens a window, 2,048 a step",
    "threads": "threads",
}


def save(figure, out, name):
    figure.savefig(f"{out}/{name}.svg", metadata={"Date": None})
    plt.close(figure)


def along(axis, x, label):
    axis.set_xscale("log")
    axis.set_xticks(x, [f"{value:,}" for value in x])
    axis.minorticks_off()
    axis.set_xlabel(label)
    axis.grid(alpha=0.25)


def scaling(result, out):
    """Above: tokens a second under the roof of the measured peak. Below: the share of that peak."""
    there = {name: label for name, label in DIMENSIONS.items() if any(row["dimension"] == name for row in result["rows"])}
    figure, axes = plt.subplots(2, len(there), figsize=(3.4 * len(there), 7.5), layout="constrained", squeeze=False)
    for column, (dimension, label) in enumerate(there.items()):
        rows = [row for row in result["rows"] if row["dimension"] == dimension]
        x = [row["value"] for row in rows]
        # The peak is that of all threads.
        share = [row["value"] / result["threads"] if dimension == "threads" else 1 for row in rows]
        roof = [1e9 * row["peak_gflop_per_s"] * n / row["flops_per_token"] for n, row in zip(share, rows)]
        above, below = axes[0][column], axes[1][column]
        above.plot(x, roof, ":", color="black", label="roof: measured GEMM peak")
        for side, name, colour in SIDES:
            rates = [row[side]["tokens_per_s"] for row in rows]
            above.plot(x, rates, "o-", color=colour, label=name)
            below.plot(x, [100 * rate / most for rate, most in zip(rates, roof)], "o-", color=colour, label=name)
        above.set_yscale("log")
        along(above, x, "")
        along(below, x, label)
        below.set_ylim(0, 100)
    axes[0][0].set_ylabel("tokens a second")
    axes[1][0].set_ylabel("model FLOPs utilisation, %")
    axes[0][0].legend(fontsize=9)
    figure.suptitle("A training step of the small GPT (4 layers, 128 wide, context 64, batch 12) as one dimension grows")
    save(figure, out, "scaling")


def memory(result, out):
    rows = [row for row in result["rows"] if row["dimension"] == "context"]
    x = [row["value"] for row in rows]
    figure, axis = plt.subplots(figsize=(7, 4.2), layout="constrained")
    for side, name, colour in SIDES:
        y = [row[side]["peak_mib"] for row in rows]
        axis.plot(x, y, "o-", color=colour)
        axis.annotate(name, (x[-1], y[-1]), (0, 9), textcoords="offset points", ha="right", color=colour)
        for at, value in zip(x, y):
            axis.annotate(f"{value:.0f}", (at, value), (0, -14), textcoords="offset points", ha="center", fontsize=8)
    along(axis, x, DIMENSIONS["context"])
    axis.set_ylabel("peak resident MiB")
    axis.set_ylim(0, 1.2 * max(row["torch"]["peak_mib"] for row in rows))
    axis.set_title("Memory against context")
    save(figure, out, "memory")


def roofline(profile, out):
    """Each op at its arithmetic intensity; the area of a dot is its share of the step."""
    peak, copy = profile["peak"]["gflop_per_s"], profile["peak"]["copy_gb_per_s"]
    figure, axis = plt.subplots(figsize=(9, 5.5), layout="constrained")
    x = [2.0**power for power in range(-4, 12)]
    axis.plot(x, [min(peak, copy * intensity) for intensity in x], "-", color="black")
    axis.annotate(f"{peak:.0f} GFLOP/s: a large product", (x[-1], peak), (0, 6), textcoords="offset points", ha="right")
    ridge = (x[2], copy * x[2])
    axis.annotate(f"{copy:.1f} GB/s: a copy", ridge, (6, -12), textcoords="offset points", ha="left")
    for op in profile["ops"]:
        if op.get("gflop_per_s") and op.get("gb_per_s"):
            at = (op["gflop_per_s"] / op["gb_per_s"], op["gflop_per_s"])
            axis.scatter(*at, s=25 + 12 * op["percent"], color=KILN, alpha=0.65, linewidths=0)
            label = f"{op['name']}, {op['percent']:.1f} %"
            axis.annotate(label, at, (0, 8), textcoords="offset points", ha="center", fontsize=8)
    axis.set(xscale="log", yscale="log", xlabel="FLOPs a byte that has to move", ylabel="GFLOP/s")
    axis.grid(alpha=0.25)
    axis.set_title(f"Where a step's time goes, in % of it: {profile['device']}")
    save(figure, out, "roofline")


def main():
    scaling_file, profile_file, out = sys.argv[1:4]
    result = json.load(open(scaling_file))
    scaling(result, out)
    memory(result, out)
    roofline(json.load(open(profile_file)), out)


main()
