# The front door; everything else is CMake's and the scripts'.
BUILD = build
QUIET = -- --no-print-directory -s
JOBS := $(shell nproc)

.PHONY: build run run-pull test torture fuzz bench coverage footprint format clean setup

build: ## build/otter, and what it starts
	@scripts/setup run
	@cmake --preset gcc >/dev/null
	@cmake --build $(BUILD) -j$(JOBS) --target otter otter-device otter-push otter-publish otter-job $(QUIET)

run: build ## a virtual ESP32 is updated before your eyes
	@scripts/demo

run-pull: build ## the same through a bucket and a broker: release, presigned URL, message, device
	@scripts/setup run-pull
	@scripts/demo-pull

test: ## everything that must hold, in a few minutes
	@scripts/test

torture: build ## power cuts at every operation, and again during each recovery; minutes. SEED=N for others
	@scripts/torture

fuzz: ## every fuzzer for ten minutes; SECONDS=N for another time
	@scripts/fuzz $(SECONDS)

bench: build ## figures, as ratios
	@scripts/setup bench
	@cmake --build $(BUILD) -j$(JOBS) --target otter-bench otter-bench-classic $(QUIET)
	@$(BUILD)/otter-bench && echo && $(BUILD)/otter-bench-classic
	@for part in instructions push tools; do echo; node bench/$$part.mjs; done

coverage: ## lines and branches of format/ and core/ that the tests run; build-coverage/index.html
	@scripts/setup
	@cmake --preset coverage >/dev/null
	@cmake --build build-coverage -j$(JOBS) $(QUIET)
	@find build-coverage -name '*.gcda' -delete
	@ctest --test-dir build-coverage --no-tests=error --output-on-failure >build-coverage/tests.log || { cat build-coverage/tests.log; exit 1; }
	@gcovr -r . -f format/ -f core/ build-coverage --txt build-coverage/lines.txt --html-details build-coverage/index.html \
		--json build-coverage/coverage.json --print-summary --fail-under-line 95 --fail-under-branch 85

footprint: setup build ## what the engine takes on a chip, into docs/FOOTPRINT.md
	@scripts/footprint

format: ## clang-format over all C
	@git ls-files '*.c' '*.h' | xargs clang-format -i

clean: ## throw away what was built
	@rm -rf build build-clang build-sanitizers build-fuzz build-coverage

setup: ## install what is missing
	@scripts/setup
