// Command dashboards writes the dashboards into a folder: make generate.
package main

import (
	"fmt"
	"os"
	"path/filepath"

	"example.com/pizza/deploy/observability/dashboard"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "dashboards: "+err.Error())
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) != 1 {
		return fmt.Errorf("usage: dashboards FOLDER")
	}
	if err := os.MkdirAll(args[0], 0o755); err != nil {
		return err
	}
	for _, d := range dashboard.All() {
		b, err := d.JSON()
		if err != nil {
			return fmt.Errorf("%s: %w", d.Name, err)
		}
		if err := os.WriteFile(filepath.Join(args[0], d.Name+".json"), b, 0o644); err != nil {
			return err
		}
	}
	return nil
}
