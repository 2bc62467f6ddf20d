# Everything that people and CI do with this repository. `make` lists it.

MODULES  := pkg migrations services/login services/menu services/order deploy/images deploy/local deploy/observability deploy/e2e deploy/delivery deploy/policy deploy/workflows
SERVICES := login menu order
PACKAGES := $(MODULES:%=./%/...)
BIN      := .local/bin

# Where consumers and providers are held to what is expected of them.
EXPECTATIONS := $(SERVICES:%=./services/%/internal/app) ./services/order/internal/menuclient ./deploy/local/internal/guide \
	./deploy/local/internal/kitchen

# Tests share one PostgreSQL, which is started for them and thrown away.
WITH_POSTGRES := $(BIN)/withpostgres

.PHONY: help
help: ## List the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  \033[1m%-13s\033[0m %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: run
run: ## Run the whole system on http://localhost:8000 (make run PORT=8080 for another port)
	@go build -o $(BIN)/local ./deploy/local/cmd/local
	@exec $(BIN)/local run

.PHONY: observe
observe: $(if $(PROMETHEUS),,$(BIN)/prometheus) ## Watch the running system: Prometheus with the alerts, dashboards and traces on http://localhost:9091
	@go build -o $(BIN)/observe ./deploy/observability/cmd/observe
	@exec $(BIN)/observe

.PHONY: test
test: documents $(WITH_POSTGRES) $(BIN)/promtool $(BIN)/prometheus $(BIN)/cosign $(BIN)/helm ## Run all tests, with the race detector, on a real PostgreSQL
	$(WITH_POSTGRES) go test -race $(PACKAGES)

# Always anew: go test does not notice a change of a file outside of the module, and would repeat that all was well.
.PHONY: documents
documents: ## Hold what people read to the code: settings, links, make targets, decisions, workflows, and the tests that are named
	@go test -count=1 -run '^Test(Plan|ThreatModel|Decisions|Documents|Owners|Forms|Readme.*)$$' \
		./deploy/local/system ./deploy/e2e ./pkg/audit $(SERVICES:%=./services/%/internal/app)
	@go test -count=1 ./deploy/workflows/...
	@go test -count=1 -run '^Test(VersionsAreInputs|Bases)$$' ./deploy/images/image ./deploy/images/dockerfile

# Services, events and migrate, each behind a PgBouncer of its own. It is beside make test because that needs Go and
# PostgreSQL alone. TestDatabaseGone stops the server itself and starts it at the same port.
.PHONY: pooler-test
pooler-test: $(WITH_POSTGRES) ## Run the tests of services and migrate behind a PgBouncer in transaction mode
	$(WITH_POSTGRES) go test -count=1 -tags pgbouncer -run '^Test(PoolerIsRefused|SettingsLeak)$$' ./pkg/testkit/pgbouncer ./migrations
	TEST_POOLER=on $(WITH_POSTGRES) go test -count=1 -skip '^TestDatabaseGone$$' ./pkg/events/postgres ./services/order/internal/postgres \
		./services/login/internal/... ./services/menu/internal/...
	TEST_POOLER=on $(WITH_POSTGRES) go test -count=1 -run '^Test(Contract|Place|List|Orders|Repeat|Key|NoClaim)' ./services/order/internal/app

.PHONY: chaos
chaos: ## Break one part after the other while clients order, CHAOS (default 10) times as long as make test does
	CHAOS="$${CHAOS:-10}" go test -count=1 -v -timeout 2h -run TestChaos ./deploy/local/system

.PHONY: e2e
e2e: ## Break the system on the Kubernetes cluster of KUBECONFIG while customers order (deploy/e2e/README.md)
	@go build -o $(BIN)/e2e ./deploy/e2e
	@$(BIN)/e2e

# Whatever fails, the rest is run too, so that everything is said at once. The tests are not taken from the cache, which
# does not see files of other modules, and write to stderr, so that JSON=1 gives JSON alone.
.PHONY: contracts
contracts: $(WITH_POSTGRES) ## Check that nobody who relies on a service breaks (BASE=v1.2.0; BREAKING=accepted; JSON=1)
	@GOWORK=off go -C tools/contracts build -o ../../$(BIN)/contracts .
	@failed=; \
	$(WITH_POSTGRES) go test -count=1 -run '^TestContract' $(EXPECTATIONS) >&2 || failed=1; \
	GOWORK=off go -C tools/contracts test -count=1 ./... >&2 || failed=1; \
	$(BIN)/contracts $(if $(BASE),-base "$$BASE") $(if $(filter accepted,$(BREAKING)),-accept) $(if $(JSON),-json) || failed=1; \
	test -z "$$failed"

.PHONY: charts
charts: $(BIN)/helm $(BIN)/helm-unittest $(BIN)/helm-docs $(BIN)/kubeconform ## Check the Helm charts: rules, schemas, and every scenario on every Kubernetes version
	@tools/charts.sh "$(CURDIR)/$(BIN)"

.PHONY: policy-test
policy-test: $(BIN)/helm $(BIN)/kyverno $(BIN)/cosign ## Try the gate of stg and prod with signed and unsigned images (deploy/policy)
	@for chart in $(SERVICES) pizza; do $(BIN)/helm dependency build helm/$$chart > /dev/null || exit 1; done
	@go build -o $(BIN)/policy ./deploy/policy
	@$(BIN)/policy

.PHONY: images
images: ## Build the container images as OCI archives in .local/images (make images IMAGES="login menu" TAG=1.2.0 REGISTRY=ghcr.io/me/pizza)
	@go run ./deploy/images/cmd/images $(if $(TAG),-tag "$$TAG") $(if $(REGISTRY),-registry "$$REGISTRY") $$IMAGES

.PHONY: changed
changed: ## Tell which images are not what dev runs, and why; or which HEAD changes, and by which files (make changed BASE=main)
	@go run ./deploy/images/cmd/changed $(if $(GITHUB_OUTPUT),-github "$$GITHUB_OUTPUT") $(if $(BASE),"$$BASE")

.PHONY: push
push: ## Push the images of make images to REGISTRY (make push IMAGES=order REGISTRY=ghcr.io/me/pizza), as who is logged in
	@go run ./deploy/images/cmd/push $(if $(GITHUB_OUTPUT),-github "$$GITHUB_OUTPUT") -registry "$$REGISTRY" $$IMAGES

.PHONY: sign
sign: $(BIN)/cosign ## Sign what was pushed, with its bill of materials: without keys in GitHub Actions, with COSIGN_KEY elsewhere
	@tools/sign.sh "$(CURDIR)/$(BIN)/cosign" .local/images

.PHONY: push-charts
push-charts: $(BIN)/helm ## Push the charts to REGISTRY/charts, those whose version is not there yet
	@tools/push-charts.sh "$(CURDIR)/$(BIN)/helm" "$$REGISTRY/charts"

.PHONY: scan
scan: $(BIN)/grype ## Look for known vulnerabilities in the images of make images (VULN=required fails where the database cannot be reached)
	@tools/scan.sh "$(CURDIR)/$(BIN)/grype" .local/images

.PHONY: propose
propose: ## Open a pull request with what WHAT changes in deploy/environments (make propose WHAT=promote FROM=dev TO=stg)
	@tools/propose.sh "$$WHAT"

.PHONY: announce
announce: ## Publish the release TAG on GitHub with its part of the changelog
	@tools/announce.sh "$$TAG"

.PHONY: dockerfiles
dockerfiles: ## Build the Dockerfiles with buildah, and check that their images are those of make images (PULL=1: on the real base images)
	@go run ./deploy/images/cmd/dockerfiles $(if $(PULL),-pull)

.PHONY: kind
kind: ## Run the system on http://localhost:8000 in a Kubernetes cluster made by kind, with Docker (PORT=8080 for another port)
	@deploy/kind/kind.sh $(if $(PORT),"$$PORT")

.PHONY: kind-e2e
kind-e2e: $(BIN)/helm ## Break the system in a Kubernetes cluster made by kind while customers order, as make e2e does
	@PATH="$(CURDIR)/$(BIN):$$PATH" deploy/kind/kind.sh e2e

.PHONY: kind-down
kind-down: ## Take away what make kind made
	@deploy/kind/kind.sh down

DELIVERY := go run ./deploy/delivery/cmd/delivery
SHOWN     = $(if $(JSON),-json) $(if $(MARKDOWN),-markdown)

.PHONY: publish
publish: $(BIN)/cosign ## Have dev run the images that make images has built and make push and sign have pushed and signed
	@$(DELIVERY) publish $(SHOWN)

.PHONY: attest
attest: $(BIN)/cosign ## Sign that what ENV runs has passed CHECKS (make attest ENV=dev CHECKS=sync,smoke SERVICE=order)
	@$(DELIVERY) attest -env "$$ENV" -checks "$$CHECKS" -service "$$SERVICE" $(if $(REVISION),-revision "$$REVISION")

.PHONY: promote
promote: $(BIN)/cosign ## Have an environment run what the one before it runs (make promote FROM=dev TO=stg SERVICE=order)
	@$(DELIVERY) promote -from "$$FROM" -to "$$TO" -service "$$SERVICE" $(SHOWN)

.PHONY: rollback
rollback: $(BIN)/cosign ## Have an environment run what it ran before, or at a commit (make rollback ENV=prod TO=1a2b3c4d SERVICE=order)
	@$(DELIVERY) rollback -env "$$ENV" $(if $(TO),-to "$$TO") -service "$$SERVICE" $(SHOWN)

.PHONY: history
history: ## Tell what runs where since when (make history ENV=prod ALL=1 for what ran before, too)
	@$(DELIVERY) history -env "$$ENV" $(if $(ALL),-all) $(if $(JSON),-json)

.PHONY: changelog
changelog: ## List the commits of RANGE by the part that they change (make changelog RANGE=v1.0.0..HEAD)
	@$(DELIVERY) changelog $(if $(RANGE),-range "$$RANGE") $(if $(JSON),-json)

.PHONY: delivery-test
delivery-test: $(BIN)/cosign $(BIN)/helm ## Test what brings images to the environments, with real signatures and no network
	go test -race -count=1 ./deploy/delivery/... ./deploy/e2e/...
	@$(MAKE) --no-print-directory policy-test

.PHONY: gitops
gitops: $(BIN)/argocd $(BIN)/rollouts $(BIN)/prometheus $(BIN)/cosign $(BIN)/helm ## Follow a commit from dev to prod, and a bad one back, with Argo CD on the cluster of KUBECONFIG (deploy/README.md)
	@go build -o $(BIN)/e2e ./deploy/e2e
	@go build -o $(BIN)/delivery ./deploy/delivery/cmd/delivery
	@$(BIN)/e2e gitops

.PHONY: lint
lint: $(BIN)/golangci-lint $(BIN)/actionlint vuln ## Check style, the rules between the packages, the workflows, and for known vulnerabilities
	$(BIN)/golangci-lint run --allow-serial-runners $(PACKAGES)
	$(BIN)/actionlint

.PHONY: secrets
secrets: $(BIN)/gitleaks ## Look for secrets in all that was ever committed
	@$(BIN)/gitleaks git . --config .github/gitleaks.toml --redact --no-banner --verbose

.PHONY: packages
packages: ## Install what the tests need of a Debian or Ubuntu, if it is not there
	@tools/packages.sh

.PHONY: vuln
vuln: $(BIN)/govulncheck ## Look for known vulnerabilities (VULN=required fails where their database cannot be reached)
	@tools/vuln.sh "$(CURDIR)/$(BIN)/govulncheck" $(MODULES)

.PHONY: generate
generate: $(BIN)/oapi-codegen $(BIN)/sqlc ## Generate code from the OpenAPI documents and the SQL, and the dashboards
	@for s in $(SERVICES); do \
		(cd services/$$s/api && ../../../$(BIN)/oapi-codegen -config oapi-codegen.yaml openapi.yaml) || exit 1; \
		(cd services/$$s/internal/postgres && ../../../../$(BIN)/sqlc generate) || exit 1; \
	done
	@cd services/order/internal/menuclient && ../../../../$(BIN)/oapi-codegen -config oapi-codegen.yaml ../../../menu/api/openapi.yaml
	@go run ./deploy/observability/cmd/dashboards deploy/observability/dashboards

.PHONY: verify
verify: generate ## Check that generated code is current, go.mod files are tidy, and each service builds alone
	@git diff --exit-code -- services && test -z "$$(git ls-files --others --exclude-standard services)" \
		|| { echo "generated code is not current: commit what 'make generate' changed"; exit 1; }
	@for m in $(MODULES); do (cd $$m && GOWORK=off go mod tidy -diff) || exit 1; done
	@for m in $(MODULES); do (cd $$m && GOWORK=off go build -o /dev/null ./...) || exit 1; done
	@echo "generated code, go.mod files and stand-alone builds are in order"

.PHONY: pre-commit
pre-commit: ## Check in seconds what differs from HEAD: texts, generated code, and the modules that are touched
	@tools/precommit.sh $(BIN) $(if $(STAGED),"$$STAGED")

.PHONY: hooks
hooks: ## Have git run make pre-commit before each commit, on what is staged
	@was=$$(git config core.hooksPath || true); [ -z "$$was" ] || [ "$$was" = tools/hooks ] \
		|| { echo "git runs the hooks of $$was already: call tools/hooks/pre-commit from there" >&2; exit 1; }
	@git config core.hooksPath tools/hooks

.PHONY: hooks-off
hooks-off: ## Take back make hooks
	@[ "$$(git config core.hooksPath)" != tools/hooks ] || git config --unset core.hooksPath

.PHONY: cover
cover: $(WITH_POSTGRES) ## Measure the coverage of each module, with HTML in coverage/
	@mkdir -p coverage
	@$(WITH_POSTGRES) tools/cover.sh coverage $(MODULES)

.PHONY: fuzz
fuzz: $(WITH_POSTGRES) ## Fuzz every target for FUZZTIME (default 30s) each
	@$(WITH_POSTGRES) tools/fuzz.sh "$${FUZZTIME:-30s}" $(MODULES)

.PHONY: clean
clean: ## Forget the local data, builds and reports (make clean DATA=.local/second for the data there alone)
	@go run ./deploy/local/cmd/local clean

$(WITH_POSTGRES): FORCE
	@go build -o $@ ./pkg/testkit/pgserver/withpostgres

$(BIN)/golangci-lint: tools/go.mod tools/go.sum
	@echo "building golangci-lint (a few minutes, once)"
	@GOWORK=off go -C tools build -o ../$@ github.com/golangci/golangci-lint/v2/cmd/golangci-lint

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

CHART_TOOLS := helm=helm.sh/helm/v4/cmd/helm helm-unittest=github.com/helm-unittest/helm-unittest/cmd/helm-unittest \
	helm-docs=github.com/norwoodj/helm-docs/cmd/helm-docs kubeconform=github.com/yannh/kubeconform/cmd/kubeconform

$(BIN)/helm $(BIN)/helm-unittest $(BIN)/helm-docs $(BIN)/kubeconform: tools/charts/go.mod tools/charts/go.sum
	@echo "building $(@F) (a minute, once)"
	@GOWORK=off go -C tools/charts build -o ../../$@ $(patsubst $(@F)=%,%,$(filter $(@F)=%,$(CHART_TOOLS)))

$(BIN)/oapi-codegen: tools/go.mod tools/go.sum
	@GOWORK=off go -C tools build -o ../$@ github.com/oapi-codegen/oapi-codegen/v2/cmd/oapi-codegen

$(BIN)/sqlc: tools/go.mod tools/go.sum
	@GOWORK=off go -C tools build -o ../$@ github.com/sqlc-dev/sqlc/cmd/sqlc

.PHONY: FORCE
FORCE:
