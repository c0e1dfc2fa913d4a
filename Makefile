# The only commands a user needs. `make help` lists them; each target sets up what it needs and skips what is done.

PYTHON     ?= python3
WORKSPACE  ?= work
DATASET    ?= walkway
DATA_ROOT  ?=
SET        ?=
PIPELINE   ?= train
SEEDS      ?= 1 2 3
REPOSITORY ?= $(WORKSPACE)/model_repository
RESULTS    ?= $(WORKSPACE)/results
ARCHIVE    ?=
TABLES     ?= $(WORKSPACE)/tables
DATE       ?=
SINCE      ?=
BEFORE     ?=
INCLUDE    ?=
ENGINE     ?= local
WORKERS    ?=
LAYOUT     ?=
TIME_ZONE  ?=
SERVER     ?=
DEPLOYMENT ?=
REGISTRY   ?=
CRON       ?= 0 0 3 * * 0
export KFP_HOST

VENV   := .venv/bin
READY  := .venv/.ready
TRITON := .triton/.ready
SWIFT  := .swift/.ready
SPARK  := .spark/.ready
PIP    := pip install --quiet --disable-pip-version-check

overrides = $(foreach value,$(SET),--set '$(value)')
data_root = $(if $(DATA_ROOT),--data-root '$(DATA_ROOT)')
option    = $(if $(2),--$(1) '$(2)')
study     = $(filter-out train,$(PIPELINE))

.DEFAULT_GOAL := help
# Every target but the stamp files below. A file of the same name must not hide one of them.
.PHONY: help setup demo test test-slow test-ceph test-faults test-spark lint hooks docs pipeline-run pipeline-schedule compile \
	model-repository serve score plan status inspect report compact prune manifests images image-locks images-check \
	security-check bench bench-training bench-serving bench-flow bench-score bench-batch bench-soak gpu-folder clean

help: ## List the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {split($$2, part, " \\| "); printf "  make %-17s %s\n", $$1, part[1]; \
		if (part[2]) printf "  %22s %s\n", "", part[2]}' $(MAKEFILE_LIST)
	@echo 'Everything a run makes goes below $(WORKSPACE)/ (WORKSPACE=dir). Measurements go to $(RESULTS)/ (RESULTS=dir).'

setup: $(READY) $(TRITON) ## Set up both environments (.venv and .triton)

hooks: $(READY) ## Check what is committed with ruff and mypy from now on (pre-commit)
	$(VENV)/pre-commit install

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(VENV)/$(PIP) -c constraints.txt torch==$(shell sed -n 's/^torch==//p' constraints.txt)
	$(VENV)/$(PIP) -c constraints.txt -e '.[train,pipelines,serve,batch,ray,trace,dev]'
	@touch $@

$(TRITON): triton-requirements.txt $(wildcard stmae/serving/triton/backends/*/*.py) | $(READY)
	$(PYTHON) -m venv .triton
	.triton/bin/$(PIP) --no-deps -r triton-requirements.txt
	$(VENV)/python -m stmae.serving.triton.runtime .triton
	@touch $@

$(SWIFT): swift-requirements.txt
	$(PYTHON) -m venv .swift
	.swift/bin/$(PIP) --no-deps -r swift-requirements.txt
	@touch $@

$(SPARK): spark-requirements.txt
	$(PYTHON) -m venv .spark
	.spark/bin/$(PIP) --no-deps -r spark-requirements.txt
	@touch $@

demo: started := $(shell date +%s)
demo: $(READY) $(TRITON) ## Train, serve and score: the whole system on one machine (DATASET=walkway)
	$(VENV)/python -m pipelines run --config $(DATASET) $(overrides) $(data_root) --workspace $(WORKSPACE) >&2
	$(VENV)/stmae demo $(DATASET) $(overrides) $(data_root) --workspace $(WORKSPACE) --started $(started) \
		> $(WORKSPACE)/demo.json
	$(VENV)/python benchmarks/record.py demo $(WORKSPACE)/demo.json --out $(RESULTS) \
		--command "make demo$(if $(filter-out walkway,$(DATASET)), DATASET=$(DATASET))$(if $(DATA_ROOT), DATA_ROOT=dir)"
	@cat $(WORKSPACE)/demo.json

# Two processes with a thread for every core each would spend their time waiting for each other.
test: $(READY) $(TRITON) $(SWIFT) lint ## Lint, then pass the tests
	OMP_NUM_THREADS=1 $(VENV)/python -m pytest -m 'not slow' -n 2 --dist loadfile

test-slow: $(READY) $(TRITON) $(SWIFT) ## Pass the tests that take minutes: studies, killed trainings, benchmarks
	OMP_NUM_THREADS=1 $(VENV)/python -m pytest tests/pipeline tests/unit tests/batch -m 'slow and not fault' -n 2 --dist loadfile

test-faults: $(READY) $(TRITON) $(SWIFT) ## Cause every fault that the nightly job is to survive, slow ones too
	$(VENV)/python -m pytest tests/faults tests/batch tests/unit/test_sandbox.py -m fault --faults-out $(WORKSPACE)/faults.json
	$(VENV)/python benchmarks/record.py faults $(WORKSPACE)/faults.json --out $(RESULTS) --command "make test-faults"

test-ceph: $(READY) $(TRITON) ## Pass the tests of the nightly job against Ceph's S3 gateway; installs its Debian packages (needs root)
	@command -v radosgw ceph-mon ceph-osd >/dev/null || \
		apt-get install --yes --quiet --no-install-recommends radosgw ceph-mon ceph-osd
	STMAE_TEST_S3=ceph $(VENV)/python -m pytest tests/batch tests/faults

test-spark: $(READY) $(SPARK) ## Run the Spark example of docs/tables.md; installs Java 17 from Debian where there is none (needs root)
	@command -v java >/dev/null || apt-get install --yes --quiet --no-install-recommends openjdk-17-jre-headless
	$(VENV)/python -m pytest tests/spark

lint: $(READY) ## ruff, mypy, import rules
	$(VENV)/ruff check .
	$(VENV)/ruff format --check .
	$(VENV)/mypy
	$(VENV)/lint-imports

docs: $(READY) ## Build the documentation as a site in $(WORKSPACE)/docs; a link that leads nowhere fails
	$(VENV)/$(PIP) -c constraints.txt -e '.[docs]'
	$(VENV)/mkdocs build --quiet --strict --site-dir '$(abspath $(WORKSPACE))/docs'

pipeline-run: $(READY) $(TRITON) ## Train and publish DATASET=name, on the cluster at KFP_HOST=url where that is set | [DATA_ROOT=dir] [SET="a.b=c"] [PIPELINE=seeds|ablation|sensitivity|encoders|effects|scenes [SEEDS="1 2 3"]]
	@done="$$($(VENV)/python -m pipelines run --pipeline $(PIPELINE) --config $(DATASET) --seeds '$(SEEDS)' \
		$(overrides) $(data_root) --workspace $(WORKSPACE))" || exit $$?; echo "$$done"; \
	case "$$done" in *.json) $(VENV)/python benchmarks/record.py pipeline "$$done" --out $(RESULTS) \
		--command "make pipeline-run $(if $(study),PIPELINE=$(study) )DATASET=$(DATASET)$(if \
		$(study), SEEDS='$(SEEDS)')$(if $(DATA_ROOT), DATA_ROOT=dir)$(if $(SET), SET='$(SET)')";; esac

pipeline-schedule: $(READY) ## Have the cluster at KFP_HOST=url train DATASET=name again and again | [CRON="0 0 3 * * 0"] [DATA_ROOT=dir] [SET="a.b=c"]
	$(VENV)/python -m pipelines schedule --config $(DATASET) --cron '$(CRON)' $(overrides) $(data_root)

compile: $(READY) ## Compile the pipelines to YAML for Kubeflow
	$(VENV)/python -m pipelines compile --out $(WORKSPACE)/pipelines

model-repository: $(READY) $(TRITON) ## Train and publish DATASET's model where WORKSPACE has none
	@ls -d $(WORKSPACE)/model_repository/$(DATASET)*_encode/*/model.onnx >/dev/null 2>&1 || $(MAKE) pipeline-run

serve: $(READY) $(TRITON) ## Serve REPOSITORY with the embedded Triton: gRPC 8001, HTTP 8000, metrics 8002
	$(VENV)/stmae serve --repository $(REPOSITORY)

run_options = --archive '$(ARCHIVE)' --tables '$(TABLES)' --repository $(REPOSITORY) \
	$(call option,date,$(DATE)) $(call option,since,$(SINCE)) $(call option,include,$(INCLUDE)) \
	$(call option,server,$(SERVER)) \
	$(call option,layout,$(LAYOUT)) $(call option,time-zone,$(TIME_ZONE)) $(call option,deployment,$(DEPLOYMENT))

score: $(READY) $(TRITON) ## Score ARCHIVE=uri into TABLES=uri; paths, file:// and s3:// | [DATE=..|SINCE=..] [LAYOUT=name|pattern] [TIME_ZONE=name] [DEPLOYMENT=name] [INCLUDE=globs] [SERVER=host:port] [ENGINE=local|ray (needs stmae[ray])] [WORKERS=n]
	$(VENV)/stmae score $(run_options) --engine $(ENGINE) $(call option,workers,$(WORKERS))

plan: $(READY) $(TRITON) ## Say what `make score` with the same variables would do, and how long it would take
	$(VENV)/stmae plan $(run_options)

status: $(READY) ## Say how far the last runs are that write into TABLES=uri
	$(VENV)/stmae status --tables '$(TABLES)'

inspect: $(READY) ## Say what the names of ARCHIVE=uri mean, before anything is scored | [LAYOUT=name|pattern] [TIME_ZONE=name]
	$(VENV)/stmae archive inspect '$(ARCHIVE)' $(call option,layout,$(LAYOUT)) $(call option,time-zone,$(TIME_ZONE))

report: $(READY) ## Write the morning report of TABLES=uri [DATE=..]
	$(VENV)/stmae report --tables '$(TABLES)' $(call option,date,$(DATE)) --out $(WORKSPACE)/reports/night.html

compact: $(READY) ## Merge the hours of days BEFORE=date in TABLES=uri: one object a camera-day and table
	$(VENV)/stmae compact --tables '$(TABLES)' --before '$(BEFORE)'

prune: $(READY) ## Delete what TABLES=uri hold of days BEFORE=date
	$(VENV)/stmae prune --tables '$(TABLES)' --before '$(BEFORE)'

manifests: $(READY) ## Check the manifests of k8s/: render every overlay, schemas, rules
	$(VENV)/python -m k8s.check

images: $(READY) ## Build the images; with REGISTRY=host/path also push them and write their digests
	$(VENV)/python -m k8s.images.build $(if $(REGISTRY),--registry '$(REGISTRY)' --push)

image-locks: $(READY) ## Write the lock files of the images anew
	$(VENV)/python -m k8s.images.locks

images-check: $(READY) $(TRITON) ## Build, run and check the images for real; installs Debian packages (needs root)
	@command -v buildah podman runc debootstrap docker-registry >/dev/null || \
		apt-get install --yes --quiet --no-install-recommends buildah podman runc debootstrap docker-registry
	OMP_NUM_THREADS=1 $(VENV)/python -m k8s.images.check

security-check: $(READY) $(TRITON) $(SWIFT) ## Check what SECURITY.md promises: hostile input, secrets, licences, known flaws of packages
	OMP_NUM_THREADS=1 $(VENV)/python tests/security/check.py

bench: bench-training bench-serving ## Run the benchmarks of this machine; the one on real footage needs DATA_ROOT=dir
ifdef DATA_ROOT
	@$(MAKE) --no-print-directory bench-flow
else
	@echo 'not run: bench-flow; it compares flow on UCSD Ped2 and CUHK Avenue: make bench DATA_ROOT=dir (docs/data.md)' >&2
endif

bench-training: $(READY) ## Time the parts of DATASET's training step, on synthetic footage
	$(VENV)/python benchmarks/training.py --config $(DATASET) --out $(RESULTS)

bench-serving: $(READY) $(TRITON) ## Time every way to score footage, from a research loop to the nightly job, with ped2 at 256x256 | [DATA_ROOT=dir] [SET="a.b=c"]
	$(VENV)/python -m benchmarks.serving $(overrides) $(data_root) --out $(RESULTS)

bench-flow: $(READY) ## Compare the flow net with OpenCV's, on synthetic and real pairs (DATA_ROOT=dir)
	$(VENV)/python -m benchmarks.flow --data '$(DATA_ROOT)' --out $(RESULTS)

bench-score: $(READY) $(TRITON) ## Measure the score on synthetic and real footage (DATA_ROOT=dir); trains for hours on two cores
	@for part in detectors features evidence ablation stillness precision return-period tables; do \
		$(VENV)/python -m benchmarks.scoring $$part --data-root '$(DATA_ROOT)' --work $(WORKSPACE)/scoring --out $(RESULTS) \
		|| exit $$?; done

bench-batch: $(READY) $(TRITON) $(SWIFT) ## Measure the nightly job: planning, speed, engines, a night of 100 cameras (DATA_ROOT=dir)
	$(VENV)/python -m benchmarks.batch plan night ratio hours ray --data-root '$(DATA_ROOT)' --work $(WORKSPACE)/scoring --out $(RESULTS)

bench-soak: $(READY) $(TRITON) ## Ask the embedded Triton 20,000 times, and look at the memory that it holds
	$(VENV)/python -m benchmarks.serving.soak --out $(RESULTS)

gpu-folder: $(READY) ## Assemble .gpu/ for the benchmark on a machine with a GPU (DATA_ROOT=dir, benchmarks/gpu/README.md)
	$(VENV)/python -m benchmarks.gpu folder --data-root '$(DATA_ROOT)'

clean: ## Remove the workspace and caches; the environments stay
	rm -rf $(WORKSPACE) .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis build *.egg-info
