package delivery_test

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.com/pizza/deploy/delivery"
)

// Only checks that the cluster reports are attested. If its report differs from the
// claim or from git, nothing is attested.
func TestAttest(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.runs("dev", true, "order", "migration")
	synced := w.git("rev-parse", "HEAD")
	was := w.images("dev")
	beside := w.git("commit-tree", "-m", "beside", "HEAD^{tree}")
	w.touch("README.md", "nothing of order's")
	unrelated := w.git("rev-parse", "HEAD")
	w.runs("dev", true, "chart")
	charted := w.git("rev-parse", "HEAD")
	rechart := w.images("dev")[4].Digest
	w.write("dev", was...)
	w.runs("dev", true, "order")
	later := w.git("rev-parse", "HEAD")
	now := w.images("dev")
	w.runs("stg", false, "order")
	unsigned := w.git("rev-parse", "HEAD")
	w.write("stg", was...)
	w.runs("stg", false, "chart")
	unsignedChart := w.git("rev-parse", "HEAD")

	for _, c := range []struct {
		name                           string
		environment, service, revision string
		at                             string // the commit that was synced, if not that of dev
		was, is                        string // in the report of the cluster
		patience                       time.Duration
		refused                        string
	}{
		{name: "order?", service: "payment", refused: `SERVICE: unknown service "payment" (login, menu, order)`},
		{name: "test?", environment: "test", refused: `ENV: unknown environment "test" (dev, stg, prod)`},
		{name: "an option for a commit", revision: "--output=x", refused: `syncResult.revisions[1] is "` + synced + `", must be "--output=x"`},
		{
			name: "the cluster does not answer", was: "{", is: "no", refused: "the cluster was asked for the Application pizza-dev-order: invalid character",
		},
		{
			name: "another service is asked for than there is", service: "menu", refused: "NotFound",
		},
		{
			name: "claimed of another revision", revision: later,
			refused: `status.operationState.syncResult.revisions[1] is "` + synced + `", must be "` + later + `"`,
		},
		{name: "a revision of another branch", was: "SYNCED", is: beside, refused: `syncResult.revisions[1] is "` + beside + `", must be a commit that led here`},
		{name: "a revision of no form", was: "COMPARED", is: "-h", refused: `status.sync.revisions[1] is "-h", must be a commit that led here`},
		{name: "images have changed since", was: "COMPARED", is: later, refused: "status.sync.revisions[1] is " + later + ", whose images and chart are not those of the last sync"},
		{
			name: "the chart has changed since", was: `"CHART", "COMPARED"`, is: `"` + rechart + `", "` + charted + `"`,
			refused: "status.sync.revisions[1] is " + charted + ", whose images and chart are not those of the last sync",
		},
		{
			name: "another chart was synced than is pinned", was: `"CHART", "SYNCED"`, is: `"` + rechart + `", "SYNCED"`,
			refused: `status.operationState.syncResult.revisions[0] is "` + rechart + `", must be the chart that ` + synced + ` pins, "` + was[4].Digest + `"`,
		},
		{
			name: "the chart that was synced is not the one of the comparison", was: `"CHART", "COMPARED"`, is: `"` + rechart + `", "COMPARED"`,
			refused: `status.sync.revisions[0] is "` + rechart + `", must be the chart that ` + synced + ` pins`,
		},
		{name: "the chart is of the repository", was: `"revisions": ["CHART", "SYNCED"]`, is: `"revisions": ["SYNCED"]`, refused: `status.operationState.syncResult.revisions is ["` + synced + `"], must be a digest and a commit`},
		{name: "the comparison has no chart", was: `"revisions": ["CHART", "COMPARED"]`, is: `"revision": "COMPARED"`, refused: "pizza-dev-order: status.sync.revisions is [], must be a digest and a commit"},
		{name: "not synced", was: `"status": "Synced"` + "\n", is: `"status": "OutOfSync"` + "\n", refused: `status.sync.status is "OutOfSync", must be "Synced"`},
		{name: "not healthy", was: `"status": "Healthy"}`, is: `"status": "Degraded"}`, refused: `status.health.status is "Degraded", must be "Healthy"`},
		{name: "the sync failed", was: `"phase": "Succeeded"`, is: `"phase": "Failed"`, refused: `status.operationState.phase is "Failed", must be "Succeeded"`},
		{name: "never synced", was: `"operationState"`, is: `"operation"`, refused: `status.operationState.phase is "", must be "Succeeded"`},
		{
			name: "the order failed", was: `"hookPhase": "Succeeded", "hookType": "PostSync"`, is: `"hookPhase": "Failed", "hookType": "PostSync"`,
			refused: `the phase of the hook Job/smoke-order is "Failed", must be "Succeeded"`,
		},
		{
			name: "the migration goes on", was: `"hookPhase": "Succeeded", "hookType": "PreSync",` + "\n", is: `"hookPhase": "Running", "hookType": "PreSync",` + "\n",
			refused: `the phase of the hook Job/migrate-order is "Running", must be "Succeeded"`,
		},
		{name: "no order was placed", was: `"name": "smoke-order"`, is: `"name": "smoke"`, refused: "the sync ran no PostSync hook Job/smoke-order"},
		{name: "the order is no hook", was: `"hookType": "PostSync",`, refused: "the sync ran no PostSync hook Job/smoke-order"},
		{name: "no migration ran", was: `"kind": "Job", "message": "Reached expected number of succeeded pods",` + "\n" + `            "name": "migrate-order"`, is: `"kind": "Job", "name": "migrate"`, refused: "the sync ran no PreSync hook Job/migrate-order"},
		{
			name: "another image was deployed", was: `"images": ["REGISTRY/order:0a1b2c3d@ORDER"], "kind": "Deployment"`, is: `"images": ["REGISTRY/order@` + now[2].Digest + `"], "kind": "Deployment"`,
			refused: "pizza-dev-order ran " + w.Registry + "/order@" + now[2].Digest + ", not " + w.Registry + "/order@" + was[2].Digest,
		},
		{
			name: "the migration was another", was: "REGISTRY/migrate:0a1b2c3d@MIGRATION", is: "REGISTRY/migrate@" + now[2].Digest,
			refused: "not " + w.Registry + "/migrate@" + was[3].Digest,
		},
		{name: "nobody signed", environment: "stg", at: unsigned, refused: "/order@" + w.imagesAt("stg", unsigned)[2].Digest + " has no trusted signature"},
		{name: "nobody signed the chart", environment: "stg", at: unsignedChart, refused: "/charts/pizza@" + w.images("stg")[4].Digest + " has no trusted signature"},
		{name: "as claimed", revision: synced},
		{name: "the last sync, since when main has gone on with others", was: "COMPARED", is: unrelated},
		{name: "without tags", was: ":0a1b2c3d"},
		{name: "from a mirror of the registry: the digests are the same", was: "REGISTRY", is: "mirror.example"},
		{name: "healthy again", was: `"status": "Healthy"}`, is: `"status": "Recovering"}`, patience: time.Minute},
		{name: "the Deployment was in sync already", was: `"name": "order-deploy"`, is: `"name": "order-other"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.environment == "" {
				c.environment = "dev"
			}
			if c.service == "" {
				c.service = "order"
			}
			images := was
			if c.at == "" {
				c.at = synced
			} else {
				images = w.imagesAt(c.environment, c.at)
			}
			text, err := os.ReadFile("testdata/application.json")
			w.must(err)
			said := string(text)
			if c.was != "" {
				if !strings.Contains(said, c.was) {
					t.Fatalf("%s is not there to be changed", c.was)
				}
				said = strings.ReplaceAll(said, c.was, c.is)
			}
			if c.environment == "stg" {
				said = strings.ReplaceAll(said, "pizza-dev", "pizza-stg")
			}
			said = strings.NewReplacer("REGISTRY", w.Registry, "MIGRATION", images[3].Digest, "ORDER", images[2].Digest, "CHART", images[4].Digest, "SYNCED", c.at, "COMPARED", c.at).Replace(said)
			var before int
			if c.refused != "" {
				before = w.attestations(images)
			}
			cluster := kubectl(t, "pizza-"+c.environment+"-order", said)
			cluster.Patience = c.patience
			checks, attested, err := delivery.Attest(t.Context(), w.Repository, w.Evidence, cluster, c.environment, c.service, c.revision)
			if c.refused != "" {
				if err == nil || !strings.Contains(err.Error(), c.refused) {
					t.Errorf("error %v, want %q", err, c.refused)
				}
				if after := w.attestations(images); after != before {
					t.Errorf("%d attestations, %d before", after, before)
				}
				return
			}
			w.must(err)
			if diff := cmp.Diff([]delivery.Image{images[2], images[3]}, attested); diff != "" {
				t.Error(diff)
			}
			if checks.Revision != synced || checks.Time.Format("15:04:05") != "09:15:01" || strings.Join(checks.Checks, ",") != "sync,smoke" {
				t.Errorf("%+v", checks)
			}
			w.must(w.Passed(t.Context(), images[2], "dev", images[4]))
			w.must(w.Passed(t.Context(), images[3], "dev", images[4]))
			if err := w.Passed(t.Context(), now[2], "dev", images[4]); err == nil {
				t.Error("what came after the revision counts as checked")
			}
		})
	}
}

// attestations counts the objects in the registry that are not images.
func (w *world) attestations(images []delivery.Image) (n int) {
	w.Helper()
	for _, i := range images {
		n += len(w.beside(i))
	}
	return n
}

// kubectl is a fake that knows a single Application.
func kubectl(t *testing.T, name, says string) delivery.Cluster {
	t.Helper()
	folder := t.TempDir()
	for file, text := range map[string]string{
		"says": says,
		"kubectl": "#!/bin/sh\n[ \"$*\" = '--namespace=argocd get applications.argoproj.io " + name + " --output=json' ] ||\n" +
			"    { echo \"Error from server (NotFound): $*\" >&2; exit 1; }\ncat '" + folder + "/says'\n" +
			// It recovers after the first look.
			"sed -i 's/\"status\": \"Recovering\"/\"status\": \"Healthy\"/' '" + folder + "/says'\n",
	} {
		// A child that another test forks meanwhile would hold the file open for writing, and
		// it could not be run: text file busy (https://go.dev/issue/22315).
		syscall.ForkLock.RLock()
		err := os.WriteFile(filepath.Join(folder, file), []byte(text), 0o700)
		syscall.ForkLock.RUnlock()
		if err != nil {
			t.Fatal(err)
		}
	}
	return delivery.Cluster{Kubectl: filepath.Join(folder, "kubectl")}
}

// The signer of attestations must not be the signer of images.
func TestSignersAreApart(t *testing.T) {
	t.Parallel()
	release, verify := delivery.Signer{Identity: "release"}, delivery.Signer{Identity: "verify"}
	key, other := delivery.Signer{Key: "a.pub"}, delivery.Signer{Key: "b.pub"}
	for _, c := range []struct {
		releaser, verifier delivery.Signer
		refused            string
	}{
		{release, verify, ""},
		{key, other, ""},
		{key, verify, ""},
		{release, release, `the signer of images must not attest checks: both are "release"`},
		{key, key, `the signer of images must not attest checks: both are "a.pub"`},
		{delivery.Signer{Key: "a.pub", Identity: "release"}, delivery.Signer{Key: "a.pub", Identity: "verify"}, "must not attest checks"},
	} {
		w := newWorld(t)
		w.Releaser, w.Verifier = c.releaser, c.verifier
		if _, err := delivery.Promote(t.Context(), w.Repository, w.Evidence, "stg", ""); (err == nil) != (c.refused == "") || err != nil && !strings.Contains(err.Error(), c.refused) {
			t.Errorf("%v and %v: error %v, want %q", c.releaser, c.verifier, err, c.refused)
		}
	}
}
