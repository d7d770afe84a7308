"""Makes scikit-learn.json: scores, probabilities and partitions with scikit-learn's own figures for them.

    python3 -m venv venv && venv/bin/pip install scikit-learn==1.9.1
    venv/bin/python test/oracle/evaluation/make.py > test/oracle/evaluation/scikit-learn.json
"""
import json

import numpy as np
import sklearn
from sklearn import metrics
from sklearn.calibration import calibration_curve

draw = np.random.default_rng(2024)


def rounded(values):
    return [round(float(value), 12) for value in values]


def scored(n, ties):
    truth = (draw.random(n) < 0.3).astype(int)
    scores = np.clip(draw.normal(0.35 + 0.3 * truth, 0.2), 0, 1)
    # Thirteenths tie often and never lie on the edge between two of ten bins.
    scores = np.round(np.round(scores * 13) / 13 if ties else scores, 9)
    precision, recall, thresholds = metrics.precision_recall_curve(truth, scores)
    predicted = (scores >= 0.5).astype(int)
    case = {
        "scores": rounded(scores),
        "truth": truth.tolist(),
        "averagePrecision": float(metrics.average_precision_score(truth, scores)),
        "auc": float(metrics.roc_auc_score(truth, scores)),
        "brier": float(metrics.brier_score_loss(truth, scores)),
        # highest threshold first, without the added end point
        "thresholds": rounded(thresholds[::-1]),
        "precision": rounded(precision[:-1][::-1]),
        "recall": rounded(recall[:-1][::-1]),
        "at05": {
            "accuracy": float(metrics.accuracy_score(truth, predicted)),
            "precision": float(metrics.precision_score(truth, predicted)),
            "recall": float(metrics.recall_score(truth, predicted)),
            "f1": float(metrics.f1_score(truth, predicted)),
        },
        "reliability": {},
    }
    for kind, strategy in (("equal-width", "uniform"), ("equal-mass", "quantile")):
        if ties and kind == "equal-mass":
            continue  # scikit-learn cuts runs of equal predictions by interpolated quantiles, ours never cuts them
        true_share, mean_predicted = calibration_curve(truth, scores, n_bins=10, strategy=strategy)
        case["reliability"][kind] = {"shareTrue": rounded(true_share), "meanPredicted": rounded(mean_predicted)}
    return case


def partition(n, clusters, labels, noise):
    truth = draw.integers(0, labels, n)
    predicted = np.where(draw.random(n) < noise, draw.integers(0, clusters, n), truth % clusters)
    (tn, fp), (fn, tp) = metrics.cluster.pair_confusion_matrix(truth, predicted) // 2
    return {
        "predicted": predicted.tolist(),
        "truth": truth.tolist(),
        "truePositives": int(tp),
        "falsePositives": int(fp),
        "falseNegatives": int(fn),
    }


json.dump(
    {
        "scikitLearn": sklearn.__version__,
        "scored": [scored(200, False), scored(300, True)],
        "partitions": [partition(60, 25, 25, 0.2), partition(200, 40, 80, 0.5), partition(30, 30, 3, 1.0)],
    },
    open(1, "w"),
)
