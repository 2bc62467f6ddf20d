package pgserver

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// oldest is the oldest supported major version.
const oldest = 15

// binaries are the programs of one PostgreSQL version.
type binaries struct {
	dir     string
	version string // for example 15.18
	major   int
}

func (b binaries) path(program string) string { return filepath.Join(b.dir, program) }

// finder looks for programs.
type finder struct {
	globs      []string // patterns of folders
	searchPath string   // like $PATH
	account    *account // must be able to run the programs
	cacheDir   string
	repository string
	log        io.Writer
}

func newFinder(a *account, o Options) finder {
	return finder{
		globs: []string{
			"/usr/lib/postgresql/*/bin", // Debian, Ubuntu
			"/usr/lib/postgresql*/bin",  // openSUSE
			"/usr/pgsql-*/bin",          // postgresql.org for Fedora and Red Hat
			"/usr/libexec/postgresql*",  // Alpine
			"/opt/homebrew/opt/postgresql@*/bin",
			"/usr/local/opt/postgresql@*/bin",
			"/home/linuxbrew/.linuxbrew/opt/postgresql@*/bin",
			"/opt/local/lib/postgresql*/bin", // MacPorts
			"/Applications/Postgres.app/Contents/Versions/*/bin",
		},
		searchPath: os.Getenv("PATH"),
		account:    a,
		cacheDir:   o.CacheDir,
		repository: o.Repository,
		log:        o.Log,
	}
}

// find returns the programs for data of the given major version. If that is 0, it
// returns the newest installed ones, or else downloaded ones.
func (f finder) find(ctx context.Context, kept int) (binaries, error) {
	installed, problems := f.installed(ctx)
	if kept != 0 {
		return f.match(ctx, installed, kept)
	}
	if len(installed) > 0 {
		return installed[0], nil
	}
	b, err := f.download(ctx)
	if err != nil {
		return binaries{}, noWayOut(append(problems, err))
	}
	return b, nil
}

// match returns the programs that can read the data of a major version.
func (f finder) match(ctx context.Context, installed []binaries, kept int) (binaries, error) {
	newest := "none"
	if len(installed) > 0 {
		newest = installed[0].version
	}
	if b, err := f.downloaded(ctx); err == nil {
		installed = append(installed, b)
	}
	if i := slices.IndexFunc(installed, func(b binaries) bool { return b.major == kept }); i >= 0 {
		return installed[i], nil
	}
	if kept == downloadMajor {
		return f.download(ctx)
	}
	return binaries{}, fmt.Errorf("the data was created by PostgreSQL %d, which is no longer installed (found: %s): "+
		"install PostgreSQL %[1]d, or delete the data with `make clean`", kept, newest)
}

// installed returns the supported installations, newest first, and the reasons why
// others are unusable.
func (f finder) installed(ctx context.Context) (found []binaries, problems []error) {
	var dirs []string
	for _, glob := range f.globs {
		matches, err := filepath.Glob(glob)
		if err != nil {
			problems = append(problems, fmt.Errorf("%s: %w", glob, err))
		}
		dirs = append(dirs, matches...)
	}
	for _, dir := range filepath.SplitList(f.searchPath) {
		// The programs find their libraries and each other relative to their real path.
		if program, err := filepath.EvalSymlinks(filepath.Join(dir, "initdb")); err == nil {
			dirs = append(dirs, filepath.Dir(program))
		}
	}
	seen := map[string]bool{}
	for _, dir := range dirs {
		if resolved, err := filepath.EvalSymlinks(dir); err == nil {
			dir = resolved
		}
		if seen[dir] || !complete(dir) {
			continue
		}
		seen[dir] = true
		if b, err := f.examine(ctx, dir); err != nil {
			problems = append(problems, err)
		} else {
			found = append(found, b)
		}
	}
	slices.SortStableFunc(found, func(a, b binaries) int { return b.major - a.major })
	return found, problems
}

// complete reports whether the folder has the programs that create and run a
// server. A client package lacks them.
func complete(dir string) bool {
	for _, program := range []string{"initdb", "postgres"} {
		if info, err := os.Stat(filepath.Join(dir, program)); err != nil || info.IsDir() || info.Mode()&0o111 == 0 {
			return false
		}
	}
	return true
}

// examine asks the programs for their version, as the account that will run them.
func (f finder) examine(ctx context.Context, dir string) (binaries, error) {
	b := binaries{dir: dir}
	cmd := exec.CommandContext(ctx, b.path("postgres"), "--version")
	f.account.run(cmd)
	cmd.Dir = "/"
	out, err := cmd.CombinedOutput()
	if err != nil {
		return b, fmt.Errorf("%s: %w %s", b.path("postgres"), err, strings.TrimSpace(string(out)))
	}
	// "postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)", "… 19beta1"
	match := regexp.MustCompile(`\(PostgreSQL\) ((\d+)\S*)`).FindStringSubmatch(string(out))
	if match == nil {
		return b, fmt.Errorf("%s: no version in %q", b.path("postgres"), out)
	}
	b.version = match[1]
	if b.major, err = strconv.Atoi(match[2]); err != nil {
		return b, fmt.Errorf("%s: %w", b.path("postgres"), err)
	}
	if b.major < oldest {
		return b, fmt.Errorf("%s is PostgreSQL %s, but %d or newer is needed", dir, b.version, oldest)
	}
	return b, nil
}

// noWayOut returns the error for a machine without a usable server.
func noWayOut(problems []error) error {
	return fmt.Errorf(`no usable PostgreSQL found. Do one of the following:
	1. set DATABASE_URL (for tests: TEST_DATABASE_URL) to a superuser's address of a server:
	   postgres://user:password@host:5432/postgres
	2. install PostgreSQL %d or newer: apt install postgresql, brew install postgresql@17
	3. connect to the internet: PostgreSQL is downloaded then, once
The cause: %w`, oldest, errors.Join(problems...))
}
