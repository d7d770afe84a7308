"""Makes oracle.json: scikit-learn 1.9.1 HistGradientBoostingClassifier on 400 rows with missing values.

pip install scikit-learn==1.9.1 && python recipe.py > oracle.json
"""

import json

import numpy as np
import sklearn
from sklearn.ensemble import HistGradientBoostingClassifier

rng = np.random.default_rng(7)
x = rng.normal(size=(400, 4)).round(2).astype(np.float32)
x[:, 2] = rng.integers(0, 5, 400)
x[rng.random((400, 4)) < 0.15] = np.nan
score = np.nan_to_num(x[:, 0]) * np.where(np.isnan(x[:, 1]), -1, x[:, 1]) + np.nan_to_num(x[:, 2], nan=3) - 2
y = (score + rng.normal(size=400) > 0).astype(int)
weights = rng.integers(1, 4, 400)
model = HistGradientBoostingClassifier(
    learning_rate=0.1, max_iter=25, max_depth=3, max_leaf_nodes=None, min_samples_leaf=1, l2_regularization=1.0, early_stopping=False
)
model.fit(x, y, sample_weight=weights)
print(
    json.dumps(
        {
            "sklearn": sklearn.__version__,
            "features": [[None if np.isnan(v) else round(float(v), 2) for v in row] for row in x],
            "labels": y.tolist(),
            "weights": weights.tolist(),
            "logOdds": model.decision_function(x).round(9).tolist(),
        }
    )
)
