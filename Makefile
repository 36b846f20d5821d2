# The one door: people, hooks and CI all come in here. `make help` lists what there is.
#
# Needs Python 3.10 or later with venv, Rust, and make, and for the JavaScript client Node 20.19
# or later with npm; everything else lands under build/, target/ and js/node_modules/. Each Python
# has an environment of its own, build/venv-3.x, with pinned tools and with daffi installed from a
# wheel: what is tested is what is shipped, and nothing that lies about in the checkout's daffi/
# can be loaded by mistake. 3.10 has a wheel of its own, 3.11 and later share one. Stamps (.ready,
# .built, .installed) make a second run quick.
#
#   PYTHON   the interpreter to work with             make test PYTHON=python3.12
#   PYTHONS  the versions of test-all
#   AGAIN    run what failed once more before the run counts as failed
#   REQUIRE  js: without Node and Chromium a run fails; otherwise their part is left out, aloud
#   ARGS     passed on to pytest, the demo, the bench or the soak
#                                                     make test ARGS='-k cast -x'
#   ONLY     of the bench: names or patterns          make bench ONLY='add,echo_*'
#   PEERS    of the bench: measure others too         make bench PEERS=all
#   CURVES   of the bench: the scale curves instead   make bench CURVES=1
#   COMPARE  of the bench: fail if slower than that   make bench COMPARE=last.json

PYTHON  ?= python3
PYTHONS ?= 3.10 3.11 3.12 3.13
ARGS    ?=

export PATH := $(PATH):$(HOME)/.cargo/bin
export PIP_DISABLE_PIP_VERSION_CHECK := 1
unexport PYTHONPATH PYTHONHOME VIRTUAL_ENV CONDA_PREFIX

# $(call find,NAMES,PATTERN): version and path of the first of NAMES that is a Python which
# can make environments and whose version fits the shell pattern.
PYENV := $(or $(PYENV_ROOT),$(shell pyenv root 2>/dev/null),$(HOME)/.pyenv)/versions
PROBE := import sys, ensurepip, venv; print("%d.%d" % sys.version_info[:2], sys.executable)
find   = $(shell for python in $(1); do \
	set -- $$("$$python" -c '$(PROBE)' 2>/dev/null); \
	case "$$1" in ($(2)) echo "$$*"; break; esac; done)

CHOSEN  := $(call find,$(PYTHON) python$(PYTHON:python%=%) $(PYENV)/$(PYTHON:python%=%)*/bin/python,?*)
VERSION := $(firstword $(CHOSEN))
ifneq ($(filter-out help clean,$(or $(MAKECMDGOALS),help)),)
  ifeq ($(VERSION),)
    $(error There is no Python "$(PYTHON)" with venv and ensurepip: pass another with PYTHON=...)
  endif
  ifneq ($(filter 2.% 3.0 3.1 3.2 3.3 3.4 3.5 3.6 3.7 3.8 3.9,$(VERSION)),)
    $(error "$(PYTHON)" is Python $(VERSION), daffi needs 3.10 or later: pass another with PYTHON=...)
  endif
endif

# $(call interpreter,3.12): path of the Python of that version, the chosen one if it is.
interpreter = $(wordlist 2,99,$(if $(filter $(VERSION),$(1)),$(CHOSEN),$(call \
	find,python$(1) $(PYENV)/$(1)*/bin/python,$(1))))

flavour = $(if $(filter 3.10,$(1)),cp310,abi3)

# The Python that builds the wheel for 3.11 and later.
BUILDER := $(if $(filter 3.10,$(VERSION)),3.11,$(VERSION))
BIN     := build/venv-$(VERSION)/bin
READY   := build/venv-$(VERSION)/.ready
HERE    := build/venv-$(VERSION)/.installed
TESTS   := $(addprefix pytest-,$(sort $(VERSION) $(PYTHONS)))
SMOKES  := $(addprefix smoke-,$(PYTHONS))

# Folders too, so that a file which went away counts as a change.
SOURCES := Cargo.toml pyproject.toml $(wildcard Cargo.lock README.md LICENSE) \
	$(shell find rust daffi \( -name __pycache__ -o -name '*.so' \) -prune -o -print)

.DEFAULT_GOAL := help
.SECONDEXPANSION:
.NOTPARALLEL:
.PRECIOUS: build/venv-%/.ready build/venv-%/.installed
.PHONY: help build demo test test-all pythons test-rust test-js test-browser chromium screenshots \
	$(TESTS) lint lint-rust lint-python lint-js format bench bench-plots nats-server soak docs \
	wheel check-packages $(SMOKES) smoke-sdist smoke-js lock clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: $(HERE) ## build the wheel and install it into this Python's environment
	@ls build/wheels/$(call flavour,$(VERSION))/*.whl

demo: $(HERE) ## a Router, workers and callers at work, in under 20 s
	@$(BIN)/python examples/demo/demo.py $(ARGS)

test: lint test-rust test-js test-browser pytest-$(VERSION) ## lint and all tests, on one Python

test-all: pythons lint test-rust test-js test-browser $(addprefix pytest-,$(PYTHONS)) ## all tests on 3.10, 3.11, 3.12 and 3.13

pythons:
	@$(foreach v,$(PYTHONS),$(if $(call interpreter,$(v)),,echo "Python $(v) is missing: neither \
		python$(v) on the PATH nor one of pyenv's (with venv and ensurepip)" >&2; exit 1;)) :

test-rust: ## the tests of the core, which knows no Python
	cargo test --no-default-features

# $(call js,COMMAND): run it in js/; where there is no Node, say so.
NODE_OK := $(shell node -e 'const [a, b] = process.versions.node.split(".").map(Number); \
	if (a > 20 || (a === 20 && b >= 19)) console.log("yes")' 2>/dev/null)
NODE_PACKAGES := $(if $(NODE_OK),js/node_modules/.installed)
js = $(if $(NODE_OK),cd js && DAFFI_PYTHON=$(CURDIR)/$(BIN)/python $(1),$(call \
	missing,Node 20.19 or later is missing))
missing = echo "== left out: $(1)" >&2; exit $(if $(filter js,$(REQUIRE)),1,0)

js/node_modules/.installed: js/package.json js/package-lock.json
	@echo "== the packages of js/"
	@npm ci --prefix js --silent
	@touch $@

test-js: $(HERE) $(NODE_PACKAGES) ## the JavaScript client on Node
	@$(call js,npm test --silent)

test-browser: $(HERE) $(NODE_PACKAGES) chromium ## the client and the example pages in Chromium
	@$(if $(BROWSER),$(call js,npm run test:browser --silent),$(call \
		missing,Chromium is missing (apt-get install chromium)))

screenshots: $(HERE) $(NODE_PACKAGES) chromium ## pictures of the example pages, into docs/images
	@$(call js,node tests/browser/screenshots.js)

# Where there is none, Debian's is installed, as far as one may. DAFFI_CHROMIUM names another.
BROWSER = $(or $(DAFFI_CHROMIUM),$(shell for name in chromium chromium-browser google-chrome; do \
	command -v $$name && break; done))
chromium:
	@test -n "$(BROWSER)" || test "$$(id -u)" != 0 || ! command -v apt-get > /dev/null || { \
		echo "== apt-get install chromium" && apt-get update -qq && DEBIAN_FRONTEND=noninteractive \
		apt-get install -y -qq --no-install-recommends chromium fonts-dejavu-core > /dev/null; } || :

# Every combination of transport and topology on one Python; on the others each test, in each world.
$(TESTS): pytest-%: build/venv-%/.installed
	@echo "== pytest on Python $*"
	@build/venv-$*/bin/pytest $(SPREAD) $(SPARSE) $(ARGS) $(if $(AGAIN),|| { $(SECOND); \
		build/venv-$*/bin/pytest --last-failed --last-failed-no-failures none $(SPARSE) $(ARGS); })

# Most tests wait for others most of the time: two processes for each core run them.
SPREAD = -n auto --maxprocesses 8 --dist worksteal
$(TESTS): export PYTEST_XDIST_AUTO_NUM_WORKERS := $(shell expr 2 '*' $$(getconf _NPROCESSORS_ONLN))

SPARSE = $(if $(filter-out $(VERSION),$*),--sparse)

SECOND = echo "== once more what failed: what passes now is flaky and to be mended"

lint: lint-rust lint-python lint-js ## rustfmt, clippy, ruff, mypy, tsc

lint-rust: $(READY)
	cargo fmt --check
	cargo clippy --all-targets --no-default-features -- -D warnings
	PYO3_PYTHON=$(CURDIR)/$(BIN)/python cargo clippy --all-targets \
		$(if $(filter abi3,$(call flavour,$(VERSION))),--features pyo3/abi3-py311) -- -D warnings

lint-python: $(READY)
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy daffi
	$(BIN)/mypy daffi --platform win32 --cache-dir build/mypy-win32
	$(BIN)/mypy tests
	$(BIN)/mypy bench

lint-js: $(NODE_PACKAGES)
	@$(call js,npm run check --silent)

format: $(READY) ## put Rust and Python into shape
	cargo fmt
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

bench: $(HERE) $(NODE_PACKAGES) $(if $(PEERS),nats-server) ## measure beside daffi 3.0.1 and plain sockets
	@$(BIN)/python -m bench $(if $(ONLY),--only '$(ONLY)') $(if $(PEERS),--peers '$(PEERS)') \
		$(if $(CURVES),--curves) $(if $(COMPARE),--compare '$(COMPARE)') $(ARGS)

# Debian's, unpacked and not installed: an installed one would start to listen at once. Without it
# the rows of NATS are left out, aloud.
nats-server:
	@command -v nats-server > /dev/null || test -x build/nats/usr/sbin/nats-server \
		|| ! command -v apt-get > /dev/null || { echo "== apt-get download nats-server" \
		&& mkdir -p build/nats && cd build/nats && { test "$$(id -u)" != 0 || apt-get update -qq; } \
		&& apt-get -o APT::Sandbox::User=root download -qq nats-server \
		&& dpkg-deb -x nats-server_*.deb .; } || :

bench-plots: $(HERE) ## figures and plots of docs/benchmarks.md, from bench/published
	@$(BIN)/python -m bench.pages $(ARGS)

soak: $(HERE) ## mixed calls for long, blocking then asyncio; fails when anything grows
	@$(BIN)/python -m bench.soak $(ARGS)

docs: build/venv-docs/.ready ## build the documentation into build/site
	NO_MKDOCS_2_WARNING=1 build/venv-docs/bin/mkdocs build --strict
	@echo "build/site/index.html"

wheel: pythons check-packages $(SMOKES) smoke-sdist smoke-js ## build all packages, and try each where nothing else is
	@ls build/wheels/*/daffi-*

lock: ## write requirements/ anew from pyproject.toml, with the newest versions
	@$(call lock,dev,'.[tests]' --group dev)
	@$(call lock,docs,--group docs)
	@$(call lock,release,--group release)

clean: ## remove everything that was made
	rm -rf build target dist js/node_modules .pytest_cache .mypy_cache .ruff_cache
	rm -f daffi/*.so daffi/*.pyd
	find daffi tests bench examples -name __pycache__ -prune -exec rm -rf {} +

# Environments and wheels

# $(call environment,VERSION): an empty one, for the stamp $@ to stand in.
environment = test -n "$(call interpreter,$(1))" || { echo "Python $(1) is missing" >&2; exit 1; }; \
	echo "== an environment for Python $(1), in $(@D)"; \
	rm -rf $(@D) && "$(call interpreter,$(1))" -m venv $(@D)

# $(call lock,NAME,WHAT): requirements/NAME.txt from what pip installs for WHAT.
lock = test -n "$(call interpreter,3.10)" || { echo "make lock needs Python 3.10" >&2; exit 1; }; \
	rm -rf build/venv-lock && "$(call interpreter,3.10)" -m venv build/venv-lock \
	&& build/venv-lock/bin/pip install --quiet --upgrade pip \
	&& build/venv-lock/bin/pip install --quiet $(2) \
	&& { echo '\# Written by `make lock` on Python 3.10; serves the later ones too.'; \
		build/venv-lock/bin/pip freeze --exclude daffi \
		| sed '/^backports\./s/$$/; python_version < "3.11"/'; } > requirements/$(1).txt

PINS := requirements/dev.txt $(wildcard bench/requirements.txt examples/demo/requirements.txt)

build/venv-docs/.ready build/venv-release/.ready: build/venv-%/.ready: requirements/%.txt
	@$(call environment,$(VERSION))
	@$(@D)/bin/python -m pip install --quiet -r $<
	@touch $@

build/venv-%/.ready: $(PINS)
	@$(call environment,$*)
	@$(@D)/bin/python -m pip install --quiet $(addprefix -r ,$(PINS))
	@touch $@

build/venv-%/.installed: build/venv-%/.ready build/wheels/$$(call flavour,$$*)/.built
	@$(@D)/bin/python -m pip install --quiet --no-index --no-deps --force-reinstall \
		build/wheels/$(call flavour,$*)/*.whl
	@touch $@

# The same for tests and for release: maturin names the oldest glibc that it runs on in its tag.
maturin = @rm -rf $(@D) && build/venv-$(1)/bin/maturin build --release --out $(@D) \
	--interpreter build/venv-$(1)/bin/python && touch $@

build/wheels/cp310/.built: $(SOURCES) | build/venv-3.10/.ready
	$(call maturin,3.10)

build/wheels/abi3/.built: $(SOURCES) | build/venv-$(BUILDER)/.ready
	$(call maturin,$(BUILDER))

# Packages, each tried where nothing else is, from outside of the checkout

SMOKE := $(CURDIR)/tests/smoke/smoke.py

build/wheels/sdist/.built: $(SOURCES) | $(READY)
	@rm -rf $(@D) && $(BIN)/maturin sdist --out $(@D) && touch $@

build/wheels/npm/.built: $(wildcard js/*.js js/*.json js/*.md) js/LICENSE
	@rm -rf $(@D) && mkdir -p $(@D) && cd js && npm pack --silent --pack-destination ../$(@D)
	@touch $@

check-packages: build/venv-release/.ready $(addprefix build/wheels/,$(addsuffix /.built,abi3 cp310 sdist))
	build/venv-release/bin/twine check --strict build/wheels/*/daffi-*.whl build/wheels/sdist/*.gz
	build/venv-release/bin/abi3audit --strict --summary build/wheels/abi3/*.whl

# $(call smoke,VERSION,PACKAGE): the package in an empty environment, and what it does there; then
# with what its command line needs.
smoke = @$(call environment,$(1)) && $(@D)/bin/python -m pip install --quiet $(2) \
	&& cd / && $(CURDIR)/$(@D)/bin/python -I $(SMOKE) \
	&& $(CURDIR)/$(@D)/bin/python -m pip install --quiet 'daffi[cli]' \
	&& $(CURDIR)/$(@D)/bin/daffi --version && touch $(CURDIR)/$@

$(SMOKES): smoke-%: build/alone-%/.tried

build/alone-%/.tried: build/wheels/$$(call flavour,$$*)/.built tests/smoke/smoke.py
	$(call smoke,$*,build/wheels/$(call flavour,$*)/*.whl)

smoke-sdist: build/alone-sdist/.tried

# Unpacked and built elsewhere, by pip; crates of others that were built are not built again.
build/alone-sdist/.tried: export CARGO_TARGET_DIR := $(or $(CARGO_TARGET_DIR),$(CURDIR)/target)
build/alone-sdist/.tried: build/wheels/sdist/.built tests/smoke/smoke.py
	$(call smoke,$(VERSION),build/wheels/sdist/*.tar.gz)

smoke-js: build/alone-$(VERSION)/.tried $(if $(NODE_OK),build/wheels/npm/.built)
	@$(if $(NODE_OK),rm -rf build/alone-js && mkdir -p build/alone-js && cp tests/smoke/smoke.mjs build/alone-js \
		&& cd build/alone-js && npm init --yes > /dev/null && npm install --silent ../wheels/npm/*.tgz ws@8 \
		&& ls node_modules/daffi/README.md node_modules/daffi/LICENSE > /dev/null \
		&& node smoke.mjs ../alone-$(VERSION)/bin/python $(SMOKE),$(call \
		missing,Node 20.19 or later is missing))
