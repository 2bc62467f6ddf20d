// Package migrations brings a PostgreSQL database to the schema that the
// services work on, from nothing or from the six tables of the old system with
// data in them.
//
//	ApplyRoles    as an administrator: the roles, and the old tables' ownership
//	Up            as migrator: the folders of sql, owner by owner, then the grants
//	Seed          as migrator: the menu, branches and a demo member
//	SeedHistory   as migrator: a year of orders
//	HashPasswords as migrator: at the cut-over, what the old system kept in clear text
//
// Each owner of tables has migrations, a version table (schema_version_login,
// …) and a lock of its own, so that a service can tell whether the database is
// ready for it. Everything may be run again, and by several at once.
//
// Migrations only add, as long as the old system and older builds of the
// services work on the same tables: the old system must not notice. Every file
// says why it is harmless to writers that go on meanwhile.
package migrations

import "embed"

// files holds the SQL, the menu, and the licence of the menu, which has to go
// wherever the menu goes.
//
//go:embed sql seed/menu/*.csv seed/LICENSE-gt-MIT.txt
var files embed.FS
