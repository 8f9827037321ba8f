"""Computes docs/roofline.md: what a training step of GPT-2 124M takes at least on two GPUs. Nothing here is measured.

    python3 benches/roofline.py > docs/roofline.md
    python3 benches/roofline.py --batch 16 --context 512
"""

import argparse
from dataclasses import dataclass

LAYERS, WIDTH, HEADS, VOCABULARY = 12, 768, 12, 50_257


@dataclass
class Machine:
    name: str
    vector: float  # f32 FLOP/s outside of matrix units
    matrix: dict[int, float]  # FLOP/s of products by the bytes of an operand
    memory: float  # bytes/s


H100 = Machine("H100 SXM", 66.9e12, {4: 66.9e12, 2: 989.4e12}, 3.35e12)
M3_MAX = Machine("M3 Max, 40 cores", 14.3e12, {4: 14.3e12}, 400e9)
COLUMNS = [(H100, 4), (H100, 2), (M3_MAX, 4)]


@dataclass
class Op:
    name: str
    calls: int
    flops: float  # of all calls, forward and backward
    elements: float  # activations and operands of products that go by
    fixed: float = 0.0  # bytes that are f32 in any precision
    product: bool = False

    def bytes(self, size: int) -> float:
        return self.elements * size + self.fixed

    def seconds(self, machine: Machine, size: int) -> tuple[float, str]:
        compute = self.flops / (machine.matrix[size] if self.product else machine.vector)
        memory = self.bytes(size) / machine.memory
        return max(compute, memory), "compute" if compute > memory else "memory"


def linear(name: str, rows: int, inputs: int, outputs: int) -> Op:
    """Three products of rows x inputs x outputs: forward, and the gradients of both operands."""
    operands = rows * inputs + inputs * outputs + rows * outputs
    return Op(name, LAYERS, LAYERS * 6 * rows * inputs * outputs, LAYERS * 3 * operands, product=True)


def step(batch: int, context: int) -> list[Op]:
    rows = batch * context
    n = rows * WIDTH
    pairs = batch * HEADS * context * (context + 1) // 2  # of a query and a key it sees
    head = WIDTH // HEADS
    matrices = 12 * LAYERS * WIDTH * WIDTH
    parameters = matrices + LAYERS * 13 * WIDTH + (VOCABULARY + context + 2) * WIDTH
    logits = rows * VOCABULARY
    return [
        Op("embedding, positions", 1, 2 * n, 7 * n),
        Op("layer_norm", 2 * LAYERS + 1, (2 * LAYERS + 1) * 22 * n, (2 * LAYERS + 1) * 5 * n),
        linear("linear, to queries, keys, values", rows, WIDTH, 3 * WIDTH),
        # Forward 2 products of all pairs; backward 3 for the queries and 4 for keys and values, which compute scores
        # anew. In f32 on vector units in any precision.
        Op("attention", LAYERS, LAYERS * pairs * (18 * head + 6), LAYERS * 17 * n, fixed=LAYERS * 24 * rows * HEADS),
        linear("linear, out of attention", rows, WIDTH, WIDTH),
        linear("linear, up", rows, WIDTH, 4 * WIDTH),
        Op("gelu", LAYERS, LAYERS * 22 * 4 * n, LAYERS * 5 * 4 * n),
        linear("linear, down", rows, 4 * WIDTH, WIDTH),
        Op("residual additions", 2 * LAYERS, 2 * LAYERS * 2 * n, 2 * LAYERS * 6 * n),
        Op(
            "linear_cross_entropy",
            1,
            6 * rows * WIDTH * VOCABULARY,
            6 * logits + 3 * (n + VOCABULARY * WIDTH),
            product=True,
        ),
        Op("gradient norm", 1, 2 * parameters, 0, fixed=4 * parameters),
        Op("AdamW", 1, 15 * parameters, 0, fixed=28 * parameters),
    ]


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--batch", type=int, default=8)
    arguments.add_argument("--context", type=int, default=1024)
    args = arguments.parse_args()
    ops = step(args.batch, args.context)
    rows = args.batch * args.context

    print(f"""# The roofline of a step, computed

**Computed, not measured**: no GPU was at hand. For every op of a training step of GPT-2 124M, forward and backward, with
{rows:,} tokens (batch {args.batch}, context {args.context}): the arithmetic and the bytes that kiln's kernels cannot do without, the time that the
nearer of a GPU's two roofs allows, and which one that is (Williams et al. 2009). `python3 benches/roofline.py` makes
this page; `--batch` and `--context` choose other sizes.

| GPU | f32 | bf16, matrix units | memory | from |
|---|---|---|---|---|
| H100 SXM | 66.9 TFLOP/s | 989.4 TFLOP/s, dense | 3.35 TB/s | [G. Lockwood's table of the H100](https://glennklockwood.com/garden/processors/h100) |
| M3 Max, 40 cores | 14.3 TFLOP/s | | 400 GB/s | 5,120 lanes at 1.398 GHz, two operations each, as in [this comparison](https://hmc-tech.com/gpu/apple-32-core-m4-max-vs-apple-40-core-m3-max) (others say 1.6 GHz, 16.4 TFLOP/s); [memory](https://www.notebookcheck.net/M3-Max-40-Core-GPU-vs-M1-Pro-14-Core-GPU-vs-M3-Max-30-Core-GPU_11636_10965_12034.247598.0.html) |
""")
    names = ["H100 f32, ms", "H100 bf16, ms", "M3 Max f32, ms"]
    print("| op | calls | GFLOP | MB, f32 | " + " | ".join(names) + " |")
    print("|---|---|---|---|" + "---|" * len(names))
    totals = [0.0] * len(COLUMNS)
    for op in ops:
        cells = []
        for i, (machine, size) in enumerate(COLUMNS):
            seconds, roof = op.seconds(machine, size)
            totals[i] += seconds
            cells.append(f"{seconds * 1e3:.2f} {roof}")
        print(f"| {op.name} | {op.calls} | {op.flops / 1e9:,.0f} | {op.bytes(4) / 1e6:,.0f} | " + " | ".join(cells) + " |")
    flops, moved = sum(op.flops for op in ops), sum(op.bytes(4) for op in ops)
    print(f"| the step | | {flops / 1e9:,.0f} | {moved / 1e6:,.0f} | " + " | ".join(f"{t * 1e3:.1f}" for t in totals) + " |")
    print("| tokens a second at the roof | | | | " + " | ".join(f"{rows / t:,.0f}" for t in totals) + " |")
    square = args.batch * HEADS * args.context**2 * 4
    logits = rows * VOCABULARY * 4
    print(f"""
- In bf16 activations and the operands of products have 2 bytes; the optimizer's side stays f32, and so does the arithmetic
  of attention, which uses no matrix units: on them {ops[3].flops / H100.matrix[2] * 1e3:.1f} ms of compute would be its roof on the H100.
- What the kernels leave out: one `[b, h, t, t]` tensor of f32 is {square / 1e6:,.0f} MB a layer, {square / H100.memory * 1e3:.2f} ms to write on the H100 and
  as much to read, and composed attention has several; the logits of the step are {logits / 1e9:.2f} GB, of which 128 MiB exist
  at a time.
- A kernel costs its launch whatever it does, so their number matters where they are short: `kiln profile CONFIG --device
  wgpu:cpu` counts them ([kernels/README.md](../kernels/README.md)).""")


if __name__ == "__main__":
    main()
