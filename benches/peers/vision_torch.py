"""Training steps of kiln's small vision models in plain PyTorch: the peer that kiln is measured against.

usage: vision_torch.py KIND BATCH STEPS [FOLDER]
KIND is mlp, cnn or vit as in configs/fashion-mnist-KIND.toml, or resnet20: the same layers, dropout, loss, AdamW with
decay on matrices, global clip 1.0; 28x28 pictures of noise in eager f32. The first third of the steps is warm-up;
prints the median step and samples/s of the rest, and peak memory. OMP_NUM_THREADS sets the threads.
With FOLDER, where Fashion-MNIST's four files lie, the steps are shuffled batches of its pictures: prints the seconds of
them all, and the share of test pictures that are right after them.
"""
import gzip
import resource
import sys
import time

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

SIDE, CLASSES = 28, 10


def mlp():
    hidden = lambda inputs: [nn.Linear(inputs, 256), nn.ReLU(), nn.Dropout(0.2)]
    return nn.Sequential(nn.Flatten(), *hidden(SIDE * SIDE), *hidden(256), nn.Linear(256, CLASSES))


def cnn():
    stage = lambda inputs, outputs: [nn.Conv2d(inputs, outputs, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]
    head = [nn.Linear(64 * (SIDE // 4) ** 2, 128), nn.ReLU(), nn.Dropout(0.3), nn.Linear(128, CLASSES)]
    return nn.Sequential(*stage(1, 32), *stage(32, 64), nn.Flatten(), *head)


class Block(nn.Module):
    def __init__(self, width, heads, dropout):
        super().__init__()
        self.heads, self.rate = heads, dropout
        self.norm1, self.norm2 = nn.LayerNorm(width, eps=1e-6), nn.LayerNorm(width, eps=1e-6)
        self.qkv, self.output = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x):
        b, t, c = x.shape
        q, k, v = (y.view(b, t, self.heads, -1).transpose(1, 2) for y in self.qkv(self.norm1(x)).split(c, dim=2))
        y = F.scaled_dot_product_attention(q, k, v, dropout_p=self.rate if self.training else 0.0)
        x = x + self.dropout(self.output(y.transpose(1, 2).reshape(b, t, c)))
        return x + self.dropout(self.down(F.gelu(self.up(self.norm2(x)), approximate="tanh")))


class Vit(nn.Module):
    def __init__(self, patch=4, layers=4, width=64, heads=4, dropout=0.1):
        super().__init__()
        self.patch_embedding = nn.Conv2d(1, width, patch, stride=patch)
        self.class_embedding = nn.Parameter(torch.zeros(width))
        self.positions = nn.Parameter(0.02 * torch.randn((SIDE // patch) ** 2 + 1, width))
        self.blocks = nn.Sequential(*(Block(width, heads, dropout) for _ in range(layers)))
        self.norm, self.head = nn.LayerNorm(width, eps=1e-6), nn.Linear(width, CLASSES)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x):
        patches = self.patch_embedding(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.class_embedding.expand(len(x), 1, -1), patches], 1) + self.positions
        return self.head(self.norm(self.blocks(self.dropout(x))[:, 0]))


class Residual(nn.Module):
    def __init__(self, inputs, width, stride):
        super().__init__()
        conv = lambda a, b, side, step: [nn.Conv2d(a, b, side, step, side // 2, bias=False), nn.BatchNorm2d(b)]
        self.layers = nn.Sequential(*conv(inputs, width, 3, stride), nn.ReLU(), *conv(width, width, 3, 1))
        self.shortcut = nn.Sequential(*(conv(inputs, width, 1, stride) if stride != 1 or inputs != width else []))

    def forward(self, x):
        return F.relu(self.layers(x) + self.shortcut(x))


def resnet20():
    blocks = [Residual(max(16, w // 2) if i == 0 else w, w, 2 if i == 0 and w > 16 else 1) for w in (16, 32, 64) for i in range(3)]
    stem = [nn.Conv2d(1, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU()]
    return nn.Sequential(*stem, *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, CLASSES))


def load(folder, split):
    read = lambda name, header: np.frombuffer(gzip.open(f"{folder}/{split}-{name}-ubyte.gz").read(), np.uint8, offset=header)
    pictures = torch.tensor(read("images-idx3", 16).reshape(-1, 1, SIDE, SIDE))
    return pictures, torch.tensor(read("labels-idx1", 8).astype(np.int64))


def batches(batch, steps, folder):
    """Noise, or shuffled pictures as numbers of mean 0 and deviation 1."""
    if folder is None:
        for _ in range(steps):
            yield torch.randn(batch, 1, SIDE, SIDE), torch.randint(0, CLASSES, (batch,))
        return
    pictures, labels = load(folder, "train")
    order = torch.randperm(len(pictures))
    for rows in order.split(batch)[:steps]:
        yield (pictures[rows].float() / 255 - 0.286) / 0.353, labels[rows]


@torch.no_grad()
def right(model, folder):
    model.eval()
    pictures, labels = load(folder, "t10k")
    found = [model((x.float() / 255 - 0.286) / 0.353).argmax(1) for x in pictures.split(500)]
    return (torch.cat(found) == labels).float().mean().item()


def main():
    kind, batch, steps = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    folder = sys.argv[4] if len(sys.argv) > 4 else None
    torch.manual_seed(1)
    model = {"mlp": mlp, "cnn": cnn, "vit": Vit, "resnet20": resnet20}[kind]()
    decay = [p for p in model.parameters() if p.dim() > 1]
    plain = [p for p in model.parameters() if p.dim() <= 1]
    groups = [{"params": decay, "weight_decay": 0.1}, {"params": plain, "weight_decay": 0.0}]
    optim = torch.optim.AdamW(groups, lr=1e-3, betas=(0.9, 0.95), eps=1e-8, fused=True)
    smoothing = 0.1 if kind == "vit" else 0.0
    took = []
    drawn = batches(batch, steps, folder)
    pictures, targets = next(drawn)  # reads the files
    begin = time.perf_counter()
    while pictures is not None:
        start = time.perf_counter()
        loss = F.cross_entropy(model(pictures), targets, label_smoothing=smoothing)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optim.step()
        optim.zero_grad(set_to_none=True)
        loss.item()
        took.append(time.perf_counter() - start)
        pictures, targets = next(drawn, (None, None))
    epoch = time.perf_counter() - begin
    if folder is not None:
        print(f"torch {torch.__version__} {kind}: {epoch:.2f} s an epoch of {len(took)} steps, {100 * right(model, folder):.2f} % right")
        return
    kept = sorted(took[len(took) // 3 :])
    median = kept[len(kept) // 2]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"torch {torch.__version__} {kind} batch {batch}, {torch.get_num_threads()} threads: "
        f"{1e3 * median:.2f} ms/step, {batch / median:.0f} samples/s, peak {peak:.0f} MiB"
    )


main()
