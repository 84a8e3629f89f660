# The front door. Meson and ninja do the work; `make help` lists what there is.

BUILD ?= build
PREFIX ?= /usr
DESTDIR ?=
NINJA ?= ninja
MESON ?= meson
SETUP = $(MESON) setup --wrap-mode=nodownload

.DEFAULT_GOAL := all

.PHONY: all
all: $(BUILD)/build.ninja ## build the programs into build/; build/edgeos runs in place
	@tools/deps --check build run
	$(NINJA) -C $(BUILD) programs

$(BUILD)/build.ninja:
	@tools/deps --check build run
	$(SETUP) $(BUILD)

.PHONY: demo
demo: ## a node with a function on real measurements; DEMO_ONCE=1 stops by itself
	@tools/deps build run samples data
	@$(MAKE) --no-print-directory all
	@BUILD=$(BUILD) DEMO_ONCE=$(DEMO_ONCE) tools/demo

.PHONY: test
test: ## all checks and tests, with gcc and with clang's sanitizers
	@tools/deps build run samples test cross
	@tools/run_tests

.PHONY: test-long
test-long: ## the same, more of the hostile modules, and the benches with their bounds
	@tools/deps
	@EDGEOS_LONG=1 tools/run_tests --long

.PHONY: install
install: $(BUILD)/build.ninja ## install below DESTDIR, with PREFIX (/usr)
	@if [ "$$($(MESON) introspect --buildoptions $(BUILD) | /usr/bin/python3 -c \
		'import json, sys; print(next(o["value"] for o in json.load(sys.stdin) if o["name"] == "prefix"))')" \
		!= "$(PREFIX)" ]; then $(MESON) configure $(BUILD) -Dprefix=$(PREFIX); fi
	$(NINJA) -C $(BUILD) programs
	DESTDIR=$(DESTDIR) $(MESON) install -C $(BUILD) --no-rebuild --quiet

.PHONY: check-format
check-format: ## does clang-format agree with every C file?
	@tools/check_format

.PHONY: format
format: ## run clang-format on every C file
	@tools/check_format --fix

.PHONY: check
check: ## layers, headers and format
	@tools/check_layers
	@tools/check_headers
	@tools/check_format

.PHONY: samples
samples: ## compile sdk/samples into build/samples
	@tools/deps samples
	@sdk/build --out $(BUILD)/samples

# build-asan and build-tsan: clang with the sanitizers, unit tests run.
.PHONY: asan tsan
asan: ## build with ASan and UBSan into build-asan, run the unit tests
tsan: ## build with TSan into build-tsan, run the unit tests
asan tsan:
	@tools/deps build run test
	@[ -f build-$@/build.ninja ] || \
		$(SETUP) --native-file tools/$@.ini build-$@
	$(NINJA) -C build-$@
	$(MESON) test -C build-$@ --no-rebuild --print-errorlogs

.PHONY: cross
cross: all ## build for aarch64 into build-aarch64, run its unit tests under qemu
	@tools/deps cross
	@[ -f build-aarch64/build.ninja ] || $(SETUP) build-aarch64 \
		--cross-file build-sysroot/root.ini --cross-file tools/cross/aarch64.ini
	$(NINJA) -C build-aarch64
	$(MESON) test -C build-aarch64 --no-rebuild --print-errorlogs

.PHONY: bench
bench: ## the headline figures beside their baselines
	@tools/deps build run bench
	@$(MAKE) --no-print-directory all
	@status=0; for name in start churn switch message neighbour density flow chain chain_churn \
		plane_echo plane_idle memcached compute node http; do \
		echo "$$name:"; $(BUILD)/edgeos bench $$name || status=1; done; exit $$status

.PHONY: clean
clean: ## remove what was built
	rm -rf build build-aarch64 build-asan build-tsan

.PHONY: help
help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1|\2/p' $(firstword $(MAKEFILE_LIST)) | \
		awk -F '|' '{ printf "%-20s%s\n", $$1, $$2 }'
