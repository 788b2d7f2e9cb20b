# `make demo` runs the node on the sample drive, `make test` runs every test, `make test-gpu` those
# that need an NVIDIA GPU, `make soak` has four cameras for half an hour, `make coverage` reports what
# the tests run in out/coverage, `make develop` only installs what training and the tests need. All
# need python3 (3.10 to 3.14) with venv, and a network for their first run alone; `make test-gpu`
# needs neither, but a PYTHON that has PyTorch with CUDA.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
KILTED := $(VENV)/kilted
export PIP_CONSTRAINT ?= $(CURDIR)/constraints.txt
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: demo test test-jazzy test-kilted test-models test-others test-training test-gpu coverage soak \
	develop clean

demo: $(VENV)/runtime
	$(BIN)/segret_demo --output out/demo

develop: $(VENV)/everything

# Four processes at once: what runs nodes, which waits more than it computes, on each distribution
# of ROS 2 that has wheels, and the rest in three parts.
NODES := test/node $(addprefix test/offline/,demo test_player.py evaluation/test_realtime.py)
MODELS := $(wildcard test/train/test_*.py)
TRAINING := $(addprefix test/train/,datasets training)

test: develop $(KILTED)/runtime
	@echo 'Four processes test for some ten minutes; each shows its part when it has ended.'
	@$(MAKE) --no-print-directory --jobs=4 --output-sync=target test-jazzy test-kilted test-others \
		test-models test-training

# With as many threads each as there are cores they would wait for one another.
test-models test-others test-training: export OMP_NUM_THREADS := 1

test-jazzy: develop
	$(BIN)/python -m pytest $(NODES)

test-kilted: $(KILTED)/runtime
	$(KILTED)/bin/python -m pytest -p no:cacheprovider $(NODES)

test-models: develop
	$(BIN)/python -m pytest $(MODELS)

test-others: develop
	$(BIN)/python -m pytest test $(addprefix --ignore=,$(NODES) $(MODELS) $(TRAINING))

test-training: develop
	$(BIN)/python -m pytest $(TRAINING)

# From the source tree, with the packages of a PyTorch image, without a network.
test-gpu:
	@if $(PYTHON) -c 'import sys, torch; sys.exit(not torch.cuda.is_available())' 2>/dev/null; \
	then TRITON_INTERPRET=0 PYTHONPATH=$(CURDIR) $(PYTHON) -m pytest -p no:cacheprovider test/gpu; \
	else echo 'make test-gpu: $(PYTHON) has no PyTorch that finds an NVIDIA GPU: nothing tested'; fi

coverage: develop
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --cov --cov-report=html:out/coverage test

soak: develop
	$(BIN)/python tools/soak.py --output out/soak

$(VENV)/runtime: setup.py constraints.txt | $(VENV)/made
	@echo 'Installing the runtime into $(VENV), without PyTorch: about 200 MB to download, 0.7 GB on disk, a minute or two'
	$(BIN)/pip install --editable '.[cpu,ros,openvino,demo,evaluate]'
	@touch $@

$(VENV)/everything: setup.py constraints.txt | $(VENV)/runtime
	@echo 'Installing training and tests into $(VENV): 2 GB on disk with PyTorch for CPUs, several more with CUDA, minutes'
	$(BIN)/pip install --editable '.[cpu,ros,openvino,demo,evaluate,ray,train,teacher,test]'
	@touch $@

$(KILTED)/runtime: setup.py constraints.txt | $(VENV)/everything $(KILTED)/made
	@echo 'Installing the runtime with ROS 2 Kilted into $(KILTED), for its tests: 0.7 GB on disk'
	$(KILTED)/bin/pip install --editable '.[cpu,kilted,openvino,demo,evaluate]' hypothesis pytest pytest-randomly
	@touch $@

%/made:
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 10) <= sys.version_info < (3, 15))' 2>/dev/null \
		|| { echo 'segret_ros needs python3 3.10 to 3.14, the versions of ROS 2 on PyPI' >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null \
		|| { echo 'segret_ros needs python3-venv: apt install python3-venv' >&2; exit 1; }
	$(PYTHON) -m venv $*
	@touch $@

clean:
	rm -rf $(VENV) out build install log
