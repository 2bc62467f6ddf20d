package main

import (
	"fmt"
	"path/filepath"
	"strings"

	"example.com/pizza/deploy/local/stack"
)

// choose returns the data folder of the system to watch, and a note about the
// choice. data is the folder from the user. The default is the folder of the
// running system at or below .local.
func choose(root, data string) (folder, note string, err error) {
	local := filepath.Join(root, ".local")
	systems, err := stack.Systems(local)
	if err != nil {
		return "", "", err
	}
	if data != "" {
		if folder, err = filepath.Abs(data); err != nil {
			return "", "", err
		}
		running, err := stack.Running(folder)
		if err != nil {
			return "", "", err
		}
		others := runningBeside(systems, folder)
		if running {
			return folder, "", nil
		}
		return folder, "No system runs in " + folder + ". It is watched as soon as one does." + named(others), nil
	}

	running := runningBeside(systems, "")
	others := runningBeside(systems, local)
	switch {
	case len(running) == 0:
		return local, "No system of `make run` runs in " + local + " or below it. One that starts there is watched at once;\n" +
			"one with its data elsewhere has to be named: make observe DATA=FOLDER, as for make run.", nil
	case len(others) < len(running):
		return local, strings.TrimPrefix(named(others), "\n"), nil
	case len(running) == 1:
		return running[0], "", nil
	default:
		return "", "", fmt.Errorf("several systems run; say which to watch:%s", named(running))
	}
}

// runningBeside returns the folders of the running systems except one.
func runningBeside(systems []stack.System, one string) (folders []string) {
	for _, s := range systems {
		if s.Running && s.Folder != one {
			folders = append(folders, s.Folder)
		}
	}
	return folders
}

// named returns the commands to watch the systems in the folders.
func named(folders []string) string {
	var b strings.Builder
	for _, folder := range folders {
		fmt.Fprintf(&b, "\nOne runs in %[1]s:  make observe DATA='%[1]s'", folder)
	}
	return b.String()
}
