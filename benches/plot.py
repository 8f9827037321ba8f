"""Draws what `cargo bench --bench scaling` measured, and the roofline with the ops of `kiln profile --json` in it.

usage: plot.py SCALING.json PROFILE.json OUT_FOLDER (needs matplotlib); writes scaling.svg, memory.svg and roofline.svg.
"""
import json
import sys

import matplotlib

matplotlib.use("Agg")
matplotlib.rcParams.update({"svg.hashsalt": "kiln", "font.size": 10, "axes.spines.top": False, "axes.spines.right": False})
import matplotlib.pyplot as plt
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter
from matplotlib.transforms import Bbox

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
        above.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        above.yaxis.set_major_formatter(FuncFormatter(lambda rate, _: f"{rate:,.0f}"))
        along(above, x, "")
        along(below, x, label)
        below.set_ylim(0, 100)
    unit = "tokens a processor second" if result.get("alone") else "tokens a second"
    axes[0][0].set_ylabel(unit)
    axes[1][0].set_ylabel("model FLOPs utilisation, %")
    figure.legend(*axes[0][0].get_legend_handles_labels(), loc="outside lower center", ncols=3, frameon=False)
    figure.suptitle("A step of the small GPT (4 layers, 128 wide, context 64, batch 12) as one dimension grows", x=0.01, ha="left")
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
    left, right = 2.0**-3, 2.0**8
    axis.plot([left, peak / copy, right], [copy * left, peak, peak], "-", color="black")
    axis.set(xscale="log", yscale="log", xlim=(left, right), ylim=(copy * left, 2.5 * peak))
    axis.set(xlabel="FLOPs a byte that has to move", ylabel="GFLOP/s")
    axis.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}"))
    axis.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{y:g}"))
    axis.yaxis.set_minor_formatter(NullFormatter())
    axis.annotate(f"{peak:.0f} GFLOP/s: a large product", (right, peak), (-4, 6), textcoords="offset points", ha="right")
    axis.annotate(f"{copy:.1f} GB/s: a copy", (1.5 * left, 1.5 * copy * left), (10, -6), textcoords="offset points")
    labels = []
    for op in profile["ops"]:
        if op.get("gflop_per_s") and op.get("gb_per_s"):
            at = (op["gflop_per_s"] / op["gb_per_s"], op["gflop_per_s"])
            axis.scatter(*at, s=25 + 12 * op["percent"], color=KILN, alpha=0.65, linewidths=0)
            labels.append((f"{op['name']}, {op['percent']:.1f} %", at, (25 + 12 * op["percent"]) ** 0.5 / 2))
    axis.grid(alpha=0.25)
    axis.set_title(f"Where a step's time goes, in % of it: {profile['device']}")
    figure.canvas.draw()
    place(figure, axis, labels)
    save(figure, out, "roofline")


def place(figure, axis, labels):
    """Writes each label beside its point where no other is in the way."""
    taken = []
    for _, at, radius in labels:
        (x, y), r = axis.transData.transform(at), radius * figure.dpi / 72
        taken.append(Bbox([[x - r, y - r], [x + r, y + r]]))
    for text, at, radius in labels:
        for step in range(24):
            right, down = step % 2 == 0, step // 2
            offset = ((radius + 4) * (1 if right else -1), -3 + 5 * down * (1 if down % 2 else -1))
            found = axis.annotate(text, at, offset, textcoords="offset points", ha="left" if right else "right", fontsize=8.5)
            box = found.get_window_extent(figure.canvas.get_renderer()).padded(1)
            inside = axis.bbox.x0 <= box.x0 and box.x1 <= axis.bbox.x1
            if inside and not any(box.overlaps(other) for other in taken):
                taken.append(box)
                break
            found.remove()


def main():
    scaling_file, profile_file, out = sys.argv[1:4]
    result = json.load(open(scaling_file))
    scaling(result, out)
    memory(result, out)
    roofline(json.load(open(profile_file)), out)


main()
