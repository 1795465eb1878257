# The front door: everything else is CMake's.
BUILD ?= build

.PHONY: build
build:
	@cmake --preset gcc >/dev/null && cmake --build $(BUILD) -j$$(nproc) -- --no-print-directory -s
