package pgserver

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"

	"example.com/pizza/pkg/testkit/child"
)

const superuser = "postgres"

// version returns the major version of PostgreSQL that created the cluster, or 0
// if there is none yet.
func (f *folder) version() (int, error) {
	if _, err := os.Lstat(f.in(clusterDir)); errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	b, err := os.ReadFile(f.in(clusterDir + "/PG_VERSION"))
	if err != nil {
		return 0, damaged(f.path, err)
	}
	v, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil {
		return 0, damaged(f.path, err)
	}
	return v, nil
}

func damaged(path string, err error) error {
	return fmt.Errorf("the data in %s is damaged, delete it with `make clean`: %w", path, err)
}

// initialize creates the cluster. The folder gets its final name last, so that the
// remains of an interrupted initdb are never taken for a cluster.
func initialize(ctx context.Context, f *folder, b binaries, durable bool) error {
	if err := os.RemoveAll(f.in(unfinished)); err != nil {
		return fmt.Errorf("remove an unfinished cluster: %w", err)
	}
	if err := f.writePassword(rand.Text()); err != nil {
		return fmt.Errorf("write the superuser's password: %w", err)
	}
	cmd := exec.CommandContext(ctx, b.path("initdb"),
		"--pgdata="+f.in(unfinished),
		"--username="+superuser, "--pwfile="+f.in(passwordFile), "--auth=scram-sha-256",
		// Collation and encoding are the same on every machine.
		"--encoding=UTF8", "--no-locale")
	if !durable {
		cmd.Args = append(cmd.Args, "--no-sync")
	}
	f.account.run(cmd)
	cmd.Dir = f.path
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	// An orphan would work in a folder that the next start deletes.
	initdb, err := child.Start(cmd, syscall.SIGKILL)
	if err == nil {
		<-initdb.Done()
		err = initdb.Err()
	}
	if err != nil {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return fmt.Errorf("initdb of PostgreSQL %s: %w\n%s", b.version, err, lastLines(out.String()))
	}
	if err := os.Rename(f.in(unfinished), f.in(clusterDir)); err != nil {
		return fmt.Errorf("finish the cluster: %w", err)
	}
	return nil
}

func (f *folder) writePassword(password string) error {
	file, err := f.file(passwordFile, os.O_TRUNC)
	if err != nil {
		return err
	}
	_, err = file.WriteString(password + "\n")
	return errors.Join(err, file.Close())
}

func (f *folder) password() (string, error) {
	file, err := openNoFollow(f.in(passwordFile), os.O_RDONLY)
	if err != nil {
		return "", damaged(f.path, err)
	}
	b, err := io.ReadAll(file)
	if err = errors.Join(err, file.Close()); err != nil {
		return "", damaged(f.path, err)
	}
	return strings.TrimSpace(string(b)), nil
}
