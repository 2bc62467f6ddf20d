// Command allowed checks the list of temporarily allowed vulnerabilities, and prints the
// configuration that makes grype ignore them; see package allowed.
package main

import (
	"fmt"
	"io"
	"os"
	"time"

	"example.com/pizza/deploy/workflows/allowed"
)

func main() {
	if err := run(os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "allowed:", err)
		os.Exit(1)
	}
}

func run(args []string, stdout io.Writer) error {
	if len(args) != 1 {
		return fmt.Errorf("usage: allowed FILE")
	}
	content, err := os.ReadFile(args[0])
	if err != nil {
		return err
	}
	all, err := allowed.Read(content, time.Now().UTC())
	if err != nil {
		return fmt.Errorf("%s:\n%w", args[0], err)
	}
	config, err := allowed.Grype(all)
	if err != nil {
		return err
	}
	_, err = stdout.Write(config)
	return err
}
