package migrations_test

import (
	"testing"

	"example.com/pizza/migrations/migrationstest"
)

// Nothing in the database uses NOTIFY: it locks the whole database until the
// commit is on disk, and any role can send one.
func TestNothingNotifies(t *testing.T) {
	t.Parallel()
	for _, f := range values[string](t, connect(t, migrationstest.New(t).URL("")), `
		SELECT oid::regprocedure::text FROM pg_proc WHERE pronamespace = 'public'::regnamespace AND prosrc ~* 'notify'`) {
		t.Errorf("%s notifies", f)
	}
}
