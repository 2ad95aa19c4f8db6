# make demo: set up and run the main job.   make test: set up and run the tests.   make check: format, lint, types.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

.PHONY: demo test check format clean

$(VENV)/core.stamp: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) -e .
	touch $@

$(VENV)/dev.stamp: $(VENV)/core.stamp
	$(PIP) torch transformers onnx onnx-ir onnxscript h5py keras hls4ml nir loguru pillow pandas pyarrow scipy scikit-learn optuna plotly torch-geometric lightgbm pooch \
		array-api-strict beartype hypothesis jaxtyping pyright pytest pytest-timeout pytest-xdist ruff hatchling
	$(PIP) --no-deps timm torchvision snntorch spikingjelly
	touch $@

demo: $(VENV)/core.stamp
	$(BIN)/hwsim estimate resnet50 --on a100-sxm-80gb --batch 8 --dtype fp16 --runtime compile
	$(BIN)/hwsim compare resnet50 --on a100-sxm-80gb --on h100-sxm-80gb --on l4 --on rtx-4090 --on mi210 --batch 8 --dtype fp16
	$(BIN)/hwsim compare jet_tagger --on xcu250 --on zcu102 --on pynq-z2 --on l4 --on rtx-4090 --precision 'ap_fixed<8,3>' --dtype fp16

test: $(VENV)/dev.stamp
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --timeout 600

check: $(VENV)/dev.stamp
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/pyright

format: $(VENV)/dev.stamp
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:
	rm -rf $(VENV) dist .pytest_cache .ruff_cache .hypothesis
