// Package migrations brings a PostgreSQL database to the schema that the
// services need. It starts from an empty database, or from the six tables of
// the old system with their data.
//
//	CreateDatabase as an administrator: create the database, unless it exists
//	ApplyRoles     as an administrator: create the roles, take over the old tables
//	Up             as migrator: apply the folders of sql, owner by owner, then the grants
//	Seed           as migrator: add the menu, branches and a demo member
//	SeedHistory    as migrator: load a year of orders
//	FillHistory    as migrator: fill in what the old system's orders lack
//	TakeSnapshot   as a reader: counts and checksums of all orders, to compare later
//	HashPasswords  as migrator: at cutover, hash the old system's cleartext passwords
//	ApplyContract  as migrator: at the end, change what the old system could not bear
//
// Each owner of tables has its own migrations, version table
// (schema_version_login, …) and lock, so that a service can check whether the
// database is ready for it. Every step can be repeated and run concurrently.
//
// While the old system and older builds of the services use the same tables,
// migrations only add: the old system must not notice. Each file states why it
// is safe with concurrent writers. The rest waits in sql/contract for the old system's
// end.
package migrations

import "embed"

// files holds the SQL, the menu, and the menu's license, which must accompany
// every copy of the menu.
//
//go:embed sql seed/menu/*.csv seed/LICENSE-gt-MIT.txt
var files embed.FS
