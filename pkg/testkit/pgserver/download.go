package pgserver

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	embeddedpostgres "github.com/fergusstrange/embedded-postgres"
)

// downloadVersion is the version to download. The programs are those of
// https://github.com/zonkyio/embedded-postgres-binaries, on Maven Central.
const (
	downloadVersion = embeddedpostgres.V18
	downloadMajor   = 18
)

// cache returns the folder that keeps downloaded programs.
func (f finder) cache() (string, error) {
	if f.cacheDir != "" {
		return filepath.Abs(f.cacheDir)
	}
	if f.account != nil {
		return "/var/cache/pizza-postgres", nil // the account cannot read root's own
	}
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("folder for downloads: %w", err)
	}
	return filepath.Join(dir, "pizza-postgres"), nil
}

// downloaded returns the programs that were downloaded before.
func (f finder) downloaded(ctx context.Context) (binaries, error) {
	cache, err := f.cache()
	if err != nil {
		return binaries{}, err
	}
	return f.examine(ctx, filepath.Join(cache, string(downloadVersion), "bin"))
}

// download downloads the programs, unless they are in the cache already.
func (f finder) download(ctx context.Context) (binaries, error) {
	if b, err := f.downloaded(ctx); err == nil {
		return b, nil
	}
	cache, err := f.cache()
	if err != nil {
		return binaries{}, err
	}
	if programs := filepath.Join(cache, string(downloadVersion)); f.account != nil && complete(filepath.Join(programs, "bin")) {
		// A strict umask has closed the downloaded programs to the account.
		if err := errors.Join(LetIn(cache), letRun(programs)); err != nil {
			return binaries{}, err
		}
		if b, err := f.downloaded(ctx); err == nil {
			return b, nil
		}
	}
	// Other processes may download at the same time. Each uses a separate folder, and
	// the first to finish wins.
	if err := errors.Join(MakeFolder(cache), LetIn(cache)); err != nil {
		return binaries{}, fmt.Errorf("folder for downloads: %w", err)
	}
	aside, err := os.MkdirTemp(cache, "download-")
	if err != nil {
		return binaries{}, fmt.Errorf("folder for downloads: %w", err)
	}
	_, _ = fmt.Fprintf(f.log, "downloading PostgreSQL %s, once, to %s\n", downloadVersion, cache) // best effort
	fetched := make(chan error, 1)
	go func() {
		// The library cannot be interrupted. If we do not wait for it, it goes on
		// in the background until the process ends.
		err := fetch(aside, f.repository)
		if err == nil && f.account != nil {
			err = letRun(filepath.Join(aside, "programs"))
		}
		if err == nil {
			err = publish(aside, cache)
		}
		fetched <- errors.Join(err, os.RemoveAll(aside))
	}()
	select {
	case <-ctx.Done():
		return binaries{}, fmt.Errorf("download PostgreSQL: %w", context.Cause(ctx))
	case err := <-fetched:
		if err != nil {
			return binaries{}, fmt.Errorf("download PostgreSQL: %w", err)
		}
	}
	return f.downloaded(ctx)
}

// fetch downloads the programs and unpacks them to the folder "programs" in dir.
//
// The library does this only while it starts its own server, which could not run as
// root or with our settings. The start is made to fail right after unpacking: the
// library deletes the data folder, and os.RemoveAll rejects a path that ends with a
// dot. The runtime folder is created in between, so it shows whether unpacking
// succeeded.
func fetch(dir, repository string) error {
	runtime := filepath.Join(dir, "runtime")
	config := embeddedpostgres.DefaultConfig().
		Version(downloadVersion).
		Port(0).
		Logger(io.Discard).
		CachePath(filepath.Join(dir, "archive")).
		BinariesPath(filepath.Join(dir, "programs")).
		RuntimePath(runtime).
		DataPath(runtime + "/.")
	if repository != "" {
		config = config.BinaryRepositoryURL(repository)
	}
	err := embeddedpostgres.NewDatabase(config).Start()
	if _, notUnpacked := os.Stat(runtime); notUnpacked != nil {
		return err
	}
	if !complete(filepath.Join(dir, "programs", "bin")) {
		return errors.Join(errors.New("the archive has no PostgreSQL server in it"), err)
	}
	return nil
}

// publish moves the programs to their place in the cache.
func publish(aside, cache string) error {
	target := filepath.Join(cache, string(downloadVersion))
	err := os.Rename(filepath.Join(aside, "programs"), target)
	if err != nil && complete(filepath.Join(target, "bin")) {
		return nil // another process was faster
	}
	return err
}
