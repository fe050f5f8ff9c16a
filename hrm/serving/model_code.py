"""What MLflow runs to load a registered model ("models from code"): no object is ever pickled."""

from mlflow.models import set_model

from hrm.serving.pyfunc import PuzzleModel

set_model(PuzzleModel())
