"""Draws what `cargo bench --bench scaling` measured, and the roofline with the ops of `kiln profile --json` in it.

usage: plot.py SCALING.json PROFILE.json OUT_FOLDER (needs matplotlib); writes scaling.png, memory.png and roofline.png.
"""
import json
import sys

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt

KILN, TORCH = "#c2410c", "#475569"


def sides(rows, key):
    for side, name, colour in (("kiln", "kiln (flex)", KILN), ("torch", "PyTorch eager", TORCH)):
        yield name, colour, [row["value"] for row in rows], [row[side][key] for row in rows]


def scaling(result, out):
    dimensions = ["width", "layers", "batch", "context", "threads"]
    figure, axes = plt.subplots(1, len(dimensions), figsize=(18, 4), layout="constrained")
    peak = result["peak_gflop_per_s"] * 1e9
    for axis, dimension in zip(axes, dimensions):
        rows = [row for row in result["rows"] if row["dimension"] == dimension]
        for name, colour, x, y in sides(rows, "tokens_per_s"):
            axis.plot(x, y, "o-", color=colour, label=name)
        share = [row["value"] if dimension == "threads" else result["threads"] for row in rows]
        roof = [peak * n / result["threads"] / row["flops_per_token"] for n, row in zip(share, rows)]
        axis.plot(x, roof, ":", color="black", label="measured GEMM peak")
        axis.set(xscale="log", yscale="log", xlabel=dimension, title=f"tokens/s against {dimension}")
        axis.set_xticks(x, [str(value) for value in x])
        axis.minorticks_off()
        axis.grid(alpha=0.3)
    axes[0].set_ylabel("tokens/s")
    axes[0].legend()
    figure.savefig(f"{out}/scaling.png", dpi=110)


def memory(result, out):
    rows = [row for row in result["rows"] if row["dimension"] == "context"]
    figure, axis = plt.subplots(figsize=(6, 4), layout="constrained")
    for name, colour, x, y in sides(rows, "peak_mib"):
        axis.plot(x, y, "o-", color=colour, label=name)
    axis.set(xscale="log", xlabel="context (2,048 tokens a step throughout)", ylabel="peak resident MiB", ylim=0)
    axis.set_xticks(x, [str(value) for value in x])
    axis.minorticks_off()
    axis.set_title("memory against context")
    axis.grid(alpha=0.3)
    axis.legend()
    figure.savefig(f"{out}/memory.png", dpi=110)


def roofline(profile, out):
    peak, copy = profile["peak"]["gflop_per_s"], profile["peak"]["copy_gb_per_s"]
    figure, axis = plt.subplots(figsize=(8, 5), layout="constrained")
    x = [2**power for power in range(-4, 12)]
    axis.plot(x, [min(peak, copy * intensity) for intensity in x], "-", color="black", label="roof: copy and GEMM, measured")
    for op in profile["ops"]:
        if op.get("gflop_per_s") and op.get("gb_per_s"):
            intensity = op["gflop_per_s"] / op["gb_per_s"]
            axis.plot(intensity, op["gflop_per_s"], "o", color=KILN, markersize=4 + op["percent"] ** 0.5 * 2, alpha=0.7)
            axis.annotate(f" {op['name']} {op['percent']:.0f} %", (intensity, op["gflop_per_s"]), fontsize=8)
    axis.set(xscale="log", yscale="log", xlabel="FLOP a byte", ylabel="GFLOP/s", title=f"a step on {profile['device']}")
    axis.grid(alpha=0.3)
    axis.legend()
    figure.savefig(f"{out}/roofline.png", dpi=110)


def main():
    scaling_file, profile_file, out = sys.argv[1:4]
    result = json.load(open(scaling_file))
    scaling(result, out)
    memory(result, out)
    roofline(json.load(open(profile_file)), out)


main()
