package stack

import "example.com/pizza/deploy/local/internal/datadir"

// System is a data folder of a stack.
type System struct {
	Folder  string
	Running bool
}

// Systems returns the data folders in a folder and below it.
func Systems(root string) ([]System, error) {
	folders, err := datadir.Find(root)
	if err != nil {
		return nil, err
	}
	systems := make([]System, len(folders))
	for i, folder := range folders {
		running, err := datadir.Running(folder)
		if err != nil {
			return nil, err
		}
		systems[i] = System{folder, running}
	}
	return systems, nil
}

// Running reports whether a stack uses the data folder.
func Running(folder string) (bool, error) { return datadir.Running(folder) }
