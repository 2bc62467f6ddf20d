# Everything that people and CI do with this repository. `make` lists the targets.
#
# Values of users reach programs through the environment, never through this file: make would run a $(shell …) in them.
# As an argument (make promote TO=…) make expands a value before it exports it; workflows set the environment.

PRODUCT  := pkg migrations services/login services/menu services/order deploy/local
MODULES  := $(PRODUCT) deploy
SERVICES := login menu order
BIN      := .local/bin
export MODULES SERVICES BIN

# Tests share one PostgreSQL, which is started for them and thrown away.
WITH_POSTGRES := $(BIN)/withpostgres

# The programs that tests build have the race detector too, so that nothing is compiled twice. Vetting is the linter's.
GO_TEST = env GOFLAGS="$$GOFLAGS -race -vet=off" go test

# go test takes tests that build programs of other modules from its cache while the sources are the same.
SOURCES = $$(find go.work $(PRODUCT) -type f -print0 | sort -z | xargs -0 cksum | cksum)

# Tests that compare the code with files of other modules. They are never taken from the cache of go test, which does
# not notice a change of such files.
ACROSS := ^Test(ChartKnows.*|Contract.*|ProbesAsTheCharts|Readme.*|WhatRunsByItselfIsBounded)$$

.PHONY: help
help: ## List the targets
	@awk -f tools/help.awk $(firstword $(MAKEFILE_LIST))

##@ Use

.PHONY: run
run: ## Run the whole system on http://localhost:8000 (PORT=8080)
	@go build -o $(BIN)/local ./deploy/local/cmd/local
	@exec $(BIN)/local run

.PHONY: observe
observe: $(if $(filter undefined,$(origin PROMETHEUS)),$(BIN)/prometheus) ## Watch the running system on http://localhost:9091 (CURRENCY=€)
	@go build -o $(BIN)/observe ./deploy/observability/cmd/observe
	@exec $(BIN)/observe

.PHONY: clean
clean: ## Delete local data, builds and reports (DATA=.local/second)
	@go run ./deploy/local/cmd/local clean

##@ Change

.PHONY: test
test: $(WITH_POSTGRES) ## Test the product, with the race detector: Go and PostgreSQL alone
	TEST_RUN="$(SOURCES)" $(WITH_POSTGRES) $(GO_TEST) -skip '$(ACROSS)' $(PRODUCT:%=./%/...)
	$(WITH_POSTGRES) $(GO_TEST) -count=1 -run '$(ACROSS)' ./migrations ./pkg/audit $(SERVICES:%=./services/%/internal/app) \
		./services/order/internal/menuclient $(patsubst %,./deploy/local/internal/%,gateway guide kitchen)

.PHONY: check
check: ## Check everything else that a change must pass (STEPS="lint")
	@tools/check.sh

.PHONY: generate
generate: $(BIN)/oapi-codegen $(BIN)/sqlc ## Generate code from OpenAPI documents and SQL, and the dashboards
	@tools/generate.sh

.PHONY: pre-commit
pre-commit: ## Check what differs from HEAD, or from a branch (BASE=main)
	@tools/precommit.sh

.PHONY: hooks
hooks: ## Run make pre-commit before each commit (OFF=1 stops that)
	@tools/hooks.sh

##@ Test more

.PHONY: contracts
contracts: $(WITH_POSTGRES) ## Find consumers that a change breaks (BASE=v1.2.0 JSON=1)
	@tools/contracts.sh

.PHONY: cover
cover: $(WITH_POSTGRES) ## Measure coverage, with HTML in coverage/
	@mkdir -p coverage
	@$(WITH_POSTGRES) tools/cover.sh coverage $(MODULES)

.PHONY: mutate
mutate: $(WITH_POSTGRES) $(BIN)/gremlins ## Change the code and see a test fail (PACKAGES="pkg/money")
	@$(WITH_POSTGRES) tools/mutate.sh

.PHONY: bench
bench: ## Measure how fast it is (REPLAY=day BASE=file SOAK=30m GROWTH=100)
	@go build -o $(BIN)/ ./deploy/loadtest/cmd/...
	@exec $(BIN)/bench

##@ Cluster and delivery

.PHONY: adopt
adopt: ## Make a fork yours (ORG=acme REGISTRY=... DOMAIN=... DB_HOST=...)
	@tools/adopt.sh

.PHONY: images
images: ## Build container images in .local/images (IMAGES="login")
	@tools/delivery.sh images

.PHONY: kind
kind: ## Run the system in a kind cluster, with Docker (PORT=8080)
	@deploy/kind/kind.sh

.PHONY: e2e
e2e: ## Break the system on a cluster while customers order
	@tools/e2e.sh

.PHONY: gitops
gitops: ## Follow a commit to prod and back, with Argo CD
	@tools/e2e.sh gitops

.PHONY: promote
promote: ## Promote images from the environment before (TO=stg)
	@tools/delivery.sh promote

.PHONY: rollback
rollback: ## Roll an environment back (ENV=prod TO=1a2b3c4d)
	@tools/delivery.sh rollback

# Tools, built once and again when their versions change.

$(WITH_POSTGRES): FORCE
	@go build -o $@ ./pkg/testkit/pgserver/withpostgres

TOOLS := actionlint argocd cosign gitleaks golangci-lint govulncheck gremlins grype helm helm-docs helm-unittest ko kube-score \
	kubeconform kyverno oapi-codegen prometheus promtool rollouts sqlc

$(TOOLS:%=$(BIN)/%): FORCE
	@tools/tool.sh $(@F)

.PHONY: FORCE
FORCE:
