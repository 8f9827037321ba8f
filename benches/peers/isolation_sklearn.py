"""scikit-learn's isolation forest on the shuttle data: the AUROC of its scores, forest by forest.

Run: pip install scikit-learn pandas; kiln data fetch shuttle; python3 benches/peers/isolation_sklearn.py SHUTTLE.csv.gz

The forests are grown on all rows and judged on all of them, as kiln's test does (`tests/isolation.rs`).
"""

import sys

import numpy as np
import pandas as pd
from sklearn.ensemble import IsolationForest
from sklearn.metrics import average_precision_score, roc_auc_score

frame = pd.read_csv(sys.argv[1])
truth = frame.pop("anomaly").to_numpy()
found = []
for seed in range(10):
    forest = IsolationForest(n_estimators=100, max_samples=256, random_state=seed).fit(frame.to_numpy())
    scores = -forest.score_samples(frame.to_numpy())
    found.append((roc_auc_score(truth, scores), average_precision_score(truth, scores)))
auroc, precision = np.array(found).T
print(f"{len(frame)} rows, {truth.mean():.2%} anomalies, 10 forests of 100 trees of 256 rows")
print(f"AUROC {auroc.mean():.4f}, from {auroc.min():.4f} to {auroc.max():.4f}; average precision {precision.mean():.4f}")
