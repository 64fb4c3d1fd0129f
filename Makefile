# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The coracle authors

PREFIX    ?= /usr/local
PLUGINDIR ?= /opt/cni/bin
COMMIT    ?= $(shell git describe --always --dirty --abbrev=12 2>/dev/null)
T         ?= 30s

# Static programs: without cgo nothing of them is linked at run time.
export CGO_ENABLED = 0
# What Go 1.26 has that costs a program more at its start than it gives one that ends
# soon (RATIONALE.md). A Go that does not know the words goes without.
GOLEAN := $(shell GOEXPERIMENT=nogreenteagc,nosizespecializedmalloc,norandomizedheapbase64 go version >/dev/null 2>&1 && echo nogreenteagc,nosizespecializedmalloc,norandomizedheapbase64)
GOBUILD = GOEXPERIMENT=$(GOLEAN) go build -overlay out/go/overlay.json -trimpath -ldflags '-s -w -X github.com/coracle-oci/coracle/internal/command.commit=$(COMMIT)'
UNIT    = $$(go list ./... | grep -v /tests/)
ROOT    = $$(go list ./tests/... | grep -vE '/tests/(bench|engines|mutants|stress|conformance)$$')

help: ## say what can be made (this text)
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' Makefile

build: ## bin/coracle, bin/imgmgr, bin/cninet and the plugins in bin/cni/
	GOARCH= go run ./tools/overlay out/go
	$(GOBUILD) -o bin/ ./runtime/cmd/coracle ./imgmgr/cmd/imgmgr ./cni-plugins/cmd/cninet
	$(GOBUILD) -o bin/cni/bridge ./cni-plugins/cmd/cni
	@# The linker writes page by page; a file that is written at once lies in memory in
	@# large pieces, and programs start in three quarters of the time.
	@for f in bin/coracle bin/imgmgr bin/cninet bin/cni/bridge; do \
		dd if=$$f of=$$f.new bs=64M status=none && chmod 755 $$f.new && mv $$f.new $$f || exit 1; done
	ln -f bin/cni/bridge bin/cni/host-local
	ln -f bin/cni/bridge bin/cni/loopback

install: build man ## programs, manual pages and completions to PREFIX=/usr/local, plugins to PLUGINDIR=/opt/cni/bin; DESTDIR
	install -D -t $(DESTDIR)$(PREFIX)/bin bin/coracle bin/imgmgr bin/cninet
	cd out/share && find . -type f -exec install -D -m 644 '{}' '$(abspath $(DESTDIR)$(PREFIX))/share/{}' ';'
	install -D -t $(DESTDIR)$(PLUGINDIR) bin/cni/bridge
	ln -f $(DESTDIR)$(PLUGINDIR)/bridge $(DESTDIR)$(PLUGINDIR)/host-local
	ln -f $(DESTDIR)$(PLUGINDIR)/bridge $(DESTDIR)$(PLUGINDIR)/loopback

man: ## out/share/: manual pages for the programs and each of their verbs, and completions for shells
	rm -rf out/share
	GOARCH= go run ./tools/man out/share

clean: ## remove bin/ and out/
	rm -rf bin out

fmt: ## format the Go files
	gofmt -w $$(git ls-files '*.go')

demo: ## the whole job as a tutorial: image, registry, two containers, a network (root)
	tools/setup.sh demo
	$(MAKE) --no-print-directory build
	tools/demo.sh

test: ## what CI runs (root): install what it needs, then everything below but bench; of the mutants a sample
	tools/test.sh

test-unit: ## no root, no network, under a minute
	go run ./tools/gotest -timeout 2m $(UNIT)

test-race: ## the same with the race detector, in minutes
	CGO_ENABLED=1 go run ./tools/gotest -race -timeout 10m $(UNIT)

test-arm64: ## the interpreter and the image of arm64, under qemu's user mode
	mkdir -p out
	GOARCH=arm64 go test -c -o out/arm64/ ./internal/caller ./runtime/launch
	for p in internal/caller runtime/launch; do (cd $$p && TEST_EMULATOR=/usr/bin/qemu-aarch64-static go tool test2json -t -p arm64/$$p \
		/usr/bin/qemu-aarch64-static ../../out/arm64/$${p#*/}.test -test.v=test2json); done | go run ./tools/gotest -stdin

test-root: build ## the tests of the built programs on this machine (root)
	go run ./tools/gotest -count 1 -p 1 -timeout 15m $(ROOT)

test-vm: build ## the same tests on cgroup v2 and systemd, in a throw-away machine (root)
	tests/vm/batch tests/root tests/truth

test-engines: build ## containerd, Docker, podman and CRI with coracle as their runtime, in namespaces of their own (root)
	tools/setup.sh engines
	test -x out/tools/crictl || GOBIN='$(CURDIR)/out/tools' go install sigs.k8s.io/cri-tools/cmd/crictl@v1.37.0
	go run ./tools/gotest -count 1 -timeout 15m ./tests/engines

test-mutants: build ## drop each step of the golden plans in turn: a test must notice (root)
	go test -count 1 -timeout 60m -v ./tests/mutants

test-conformance: build ## the validation suite of runtime-tools, fetched as a Go module (root)
	tools/setup.sh test
	go run ./tools/gotest -count 1 -timeout 20m ./tests/conformance

test-stress: build ## thousands of containers, and commands that are killed: nothing may be left (root)
	go test -count 1 -timeout 30m -v ./tests/stress

test-all: ## everything, for hours; the dated result in tests/results/ is committed (root)
	tools/test-all.sh

bench: build ## measure beside crun, runc, umoci and Debian's CNI plugins; writes bench/RESULTS.md (root)
	tools/setup.sh bench
	go run ./tests/bench -o bench/RESULTS.md

fuzz: ## every fuzz target for T=30s
	tools/fuzz.sh $(T)

lint: ## gofmt, go vet; the same for arm64, which is also built
	test -z "$$(gofmt -l $$(git ls-files '*.go') | tee /dev/stderr)"
	go vet ./...
	GOARCH=arm64 go vet ./...
	GOARCH=arm64 go build -o /dev/null ./...

release: ## out/release/: reproducible tarballs and .deb for amd64 and arm64, SBOM, checksums
	tools/release.sh

.PHONY: help build install man clean fmt demo test test-unit test-race test-arm64 test-root test-vm test-engines test-mutants test-stress test-conformance test-all bench fuzz lint release
