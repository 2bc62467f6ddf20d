// Command contracts compares what the services promise, their OpenAPI and
// AsyncAPI documents, with what they promised in a release, and fails where
// somebody who relied on it could break.
//
//	contracts [-base REVISION] [-json] [-accept]
//
// It is run in the repository. The documents are read from the working tree and
// from REVISION, and one book of rules judges both kinds (oasdiff's): what is
// announced by events is put to it as answers. Everything that it warns of is
// taken as breaking here, also a field that was never promised to be there: that
// nobody reads it is for people to say, and they say it with -accept.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
)

// errBreaking ends the program with 1, the errors of its own with 2.
var errBreaking = errors.New("somebody could break")

func main() {
	base := flag.String("base", "", "the `revision` to compare with; else the last tag v*, else where the branch left the main one")
	asJSON := flag.Bool("json", false, "print JSON instead of a table")
	accept := flag.Bool("accept", false, "say the same, but do not fail")
	flag.Parse()
	if flag.NArg() > 0 {
		fmt.Fprintf(os.Stderr, "contracts: unexpected argument %q\n", flag.Arg(0))
		flag.Usage()
		os.Exit(2)
	}
	switch err := run(context.Background(), ".", os.Stdout, *base, *asJSON, *accept); {
	case errors.Is(err, errBreaking):
		os.Exit(1)
	case err != nil:
		fmt.Fprintln(os.Stderr, "contracts:", err)
		os.Exit(2)
	}
}

func run(ctx context.Context, dir string, out io.Writer, revision string, asJSON, accept bool) error {
	base, err := findBase(ctx, dir, revision)
	if err != nil {
		return err
	}
	report, err := compare(ctx, dir, base)
	if err != nil {
		return err
	}
	report.Accepted = accept
	write := report.table
	if asJSON {
		write = report.json
	}
	if err := write(out); err != nil {
		return err
	}
	if report.Breaking && !accept {
		return errBreaking
	}
	return nil
}
