package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
)

// Names of documents, in services/<service>/api.
const (
	openAPI  = "openapi.yaml"
	asyncAPI = "asyncapi.yaml"
)

// documents are texts by their paths, services/<service>/api/<name>.
type documents map[string]string

// committed returns the documents of a revision.
func committed(ctx context.Context, dir, commit string) (documents, error) {
	listed, err := git(ctx, dir, "ls-tree", "-r", "--name-only", "--full-tree", commit, "--", "services")
	if err != nil {
		return nil, err
	}
	all := documents{}
	for path := range strings.SplitSeq(listed, "\n") {
		parts := strings.Split(path, "/")
		if len(parts) != 4 || parts[2] != "api" || parts[3] != openAPI && parts[3] != asyncAPI {
			continue
		}
		if all[path], err = git(ctx, dir, "show", commit+":"+path); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// working returns the documents of the working tree, as git would give them back.
func working(dir string) (documents, error) {
	all := documents{}
	for _, name := range []string{openAPI, asyncAPI} {
		files, err := filepath.Glob(filepath.Join(dir, "services", "*", "api", name))
		if err != nil {
			return nil, err
		}
		for _, file := range files {
			text, err := os.ReadFile(file) //nolint:gosec // it is a document of this repository
			if err != nil {
				return nil, err
			}
			path, err := filepath.Rel(dir, file)
			if err != nil {
				return nil, err
			}
			all[filepath.ToSlash(path)] = strings.TrimRight(string(text), "\n")
		}
	}
	if len(all) == 0 {
		return nil, errors.New("there are no documents in services/*/api")
	}
	return all, nil
}
