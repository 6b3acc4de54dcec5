# Everything a developer does. Tools are pinned here and stay out of go.mod.
GOLANGCI = go run github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0
DEADCODE = go run golang.org/x/tools/cmd/deadcode@v0.52.0

# A binary knows its version from git, where there is git.
VCS = $(shell git rev-parse -q --verify HEAD >/dev/null 2>&1 && echo true || echo false)

.PHONY: build run test scenarios bench lint check

build: ## bin/oauth2-server, static
	CGO_ENABLED=0 go build -trimpath -buildvcs=$(VCS) -o bin/oauth2-server ./cmd/oauth2-server

run: build ## the embedded default with a demo client; needs Go alone
	exec bin/oauth2-server serve --demo

test: ## every test, on private Postgres and Redis servers
	scripts/test

scenarios: build ## every latency scenario in its quick form, about four minutes; needs a machine that does nothing else
	scripts/deps
	bin/oauth2-server bench run all --quick --retries 6 --out bin/scenarios.json

bench: ## micro-benchmarks
	go test -run '^$$' -bench . -benchmem ./...

lint: ## format, vet, import directions, layout, dead code
	scripts/layout
	go run ./scripts/imports
	go mod tidy -diff
	go vet ./...
	cd scripts/manifests && go mod tidy -diff && go vet ./...
	$(GOLANGCI) run ./...
	scripts/empty $(DEADCODE) -test ./...

check: lint test
