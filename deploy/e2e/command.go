package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"example.com/pizza/pkg/config"
	"example.com/pizza/pkg/testkit/pgserver"
)

// command holds the input and output that the commands of this program share.
type command struct {
	root, work string // the repository, and the command's folder in it
	asJSON     bool
	settings   Settings
	log        *os.File // every external command and its output
}

func newCommand(name string, args []string) (*command, error) {
	flags := flag.NewFlagSet(name, flag.ContinueOnError)
	root := flags.String("root", ".", "the repository")
	c := &command{}
	flags.BoolVar(&c.asJSON, "json", false, "print the table as JSON")
	if err := flags.Parse(args); err != nil {
		return nil, err
	}
	if flags.NArg() > 0 {
		return nil, fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	var err error
	if c.settings, err = config.Load[Settings](os.Environ()); err != nil {
		return nil, err
	}
	if c.root, err = filepath.Abs(*root); err != nil {
		return nil, err
	}
	c.work = filepath.Join(c.root, ".local", name)
	if err := os.MkdirAll(c.work, 0o755); err != nil {
		return nil, err
	}
	c.log, err = os.Create(filepath.Join(c.work, "log"))
	return c, err
}

// printed writes a table for people, or as JSON for scripts.
func printed[Row any](c *command, w io.Writer, rows []Row, table func(io.Writer, []Row) error) error {
	if !c.asJSON {
		return table(w, rows)
	}
	out := json.NewEncoder(w)
	out.SetIndent("", "  ")
	return out.Encode(rows)
}

// databaseFolder creates a folder for databases, in memory if possible. A disk
// still busy with the images would stall them in the middle of a scenario.
func databaseFolder() (string, error) {
	folder, err := os.MkdirTemp(pgserver.TemporaryRoot(), "pizza-e2e-")
	if err != nil {
		return "", err
	}
	return folder, os.Chmod(folder, 0o755) // the server does not run as root, and needs access to its subfolder
}
