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
	$(WITH_POSTGRES) go test -race -skip '$(ACROSS)' $(PRODUCT:%=./%/...)
	$(WITH_POSTGRES) go test -race -count=1 -run '$(ACROSS)' ./migrations ./pkg/audit $(SERVICES:%=./services/%/internal/app) \
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

.PHONY: chaos
chaos: ## Break parts of the running system for longer (CHAOS=10)
	@CHAOS="$${CHAOS:-10}" go test -count=1 -v -timeout 2h -run TestChaos ./deploy/local/system

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

$(BIN)/golangci-lint: tools/go.mod tools/go.sum
	@echo "building golangci-lint (a few minutes, once)"
	@GOWORK=off go -C tools build -o ../$@ github.com/golangci/golangci-lint/v2/cmd/golangci-lint

$(BIN)/kube-score: tools/go.mod tools/go.sum
	@GOWORK=off go -C tools build -o ../$@ github.com/zegl/kube-score/cmd/kube-score

$(BIN)/govulncheck: tools/go.mod tools/go.sum
	@GOWORK=off go -C tools build -o ../$@ golang.org/x/vuln/cmd/govulncheck

$(BIN)/actionlint: tools/actionlint/go.mod tools/actionlint/go.sum
	@GOWORK=off go -C tools/actionlint build -o ../../$@ github.com/rhysd/actionlint/cmd/actionlint

$(BIN)/gitleaks: tools/gitleaks/go.mod tools/gitleaks/go.sum
	@GOWORK=off go -C tools/gitleaks build -o ../../$@ github.com/zricethezav/gitleaks/v8

$(BIN)/grype: tools/grype/go.mod tools/grype/go.sum
	@echo "building grype (a few minutes, once)"
	@GOWORK=off go -C tools/grype build -ldflags "-s -w" -o ../../$@ github.com/anchore/grype/cmd/grype

# A module of its own, because what Prometheus needs would change the versions of the linter. Only discovery by files is built in.
$(BIN)/promtool $(BIN)/prometheus: tools/prometheus/go.mod tools/prometheus/go.sum
	@echo "building $(@F) (a few minutes, once)"
	@GOWORK=off go -C tools/prometheus build -tags remove_all_sd -o ../../$@ github.com/prometheus/prometheus/cmd/$(@F)

# Argo CD's controllers, for make gitops; the versions of Kubernetes' modules that they need would change everybody else's.
$(BIN)/argocd: tools/argocd/go.mod tools/argocd/go.sum tools/argocd/main.go
	@echo "building Argo CD (a few minutes, once)"
	@GOWORK=off go -C tools/argocd build -ldflags "-s -w" -o ../../$@ .

# What Kyverno needs would change the versions of everybody else. Its binary is large, so without what is for debuggers.
$(BIN)/kyverno: tools/kyverno/go.mod tools/kyverno/go.sum
	@echo "building Kyverno's command line (about five minutes, once)"
	@GOWORK=off go -C tools/kyverno build -ldflags "-s -w" -o ../../$@ github.com/kyverno/kyverno/cmd/cli/kubectl-kyverno

$(BIN)/rollouts: tools/rollouts/go.mod tools/rollouts/go.sum
	@echo "building Argo Rollouts (a few minutes, once)"
	@GOWORK=off go -C tools/rollouts build -ldflags "-s -w" -o ../../$@ github.com/argoproj/argo-rollouts/cmd/rollouts-controller

$(BIN)/cosign: tools/cosign/go.mod tools/cosign/go.sum
	@echo "building cosign (a few minutes, once)"
	@GOWORK=off go -C tools/cosign build -ldflags "-s -w" -o ../../$@ github.com/sigstore/cosign/v3/cmd/cosign

$(BIN)/ko: tools/ko/go.mod tools/ko/go.sum
	@echo "building ko (a minute, once)"
	@GOWORK=off go -C tools/ko build -ldflags "-s -w" -o ../../$@ github.com/google/ko

CHART_TOOLS := helm=helm.sh/helm/v4/cmd/helm helm-unittest=github.com/helm-unittest/helm-unittest/cmd/helm-unittest \
	helm-docs=github.com/norwoodj/helm-docs/cmd/helm-docs kubeconform=github.com/yannh/kubeconform/cmd/kubeconform

$(BIN)/helm $(BIN)/helm-unittest $(BIN)/helm-docs $(BIN)/kubeconform: tools/charts/go.mod tools/charts/go.sum
	@echo "building $(@F) (a minute, once)"
	@GOWORK=off go -C tools/charts build -o ../../$@ $(patsubst $(@F)=%,%,$(filter $(@F)=%,$(CHART_TOOLS)))

$(BIN)/oapi-codegen: tools/go.mod tools/go.sum
	@GOWORK=off go -C tools build -o ../$@ github.com/oapi-codegen/oapi-codegen/v2/cmd/oapi-codegen

$(BIN)/sqlc: tools/go.mod tools/go.sum
	@GOWORK=off go -C tools build -o ../$@ github.com/sqlc-dev/sqlc/cmd/sqlc

$(BIN)/gremlins: tools/gremlins/go.mod tools/gremlins/go.sum
	@GOWORK=off go -C tools/gremlins build -o ../../$@ github.com/go-gremlins/gremlins/cmd/gremlins

.PHONY: FORCE
FORCE:
