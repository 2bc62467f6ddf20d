package stack

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
)

// TargetsFile is the file in the data folder that lists the scrape targets for
// Prometheus (file_sd_configs): each process, with its service as the job.
const TargetsFile = "targets.json"

// PublicLabel is the label with the address of the API. Prometheus drops labels that
// begin with underscores.
const PublicLabel = "__public"

// Targets is a group of processes with the same labels, in Prometheus's format.
type Targets struct {
	Targets []string          `json:"targets"`
	Labels  map[string]string `json:"labels"`
}

// writeTargets replaces the targets file atomically, so that no reader sees
// half of it.
func (s *Stack) writeTargets() error {
	groups := make([]Targets, 0, len(s.services))
	for _, service := range s.services {
		groups = append(groups, Targets{
			Targets: []string{service.Metrics},
			Labels:  map[string]string{"job": service.Name, "namespace": "local", PublicLabel: service.Public},
		})
	}
	b, err := json.MarshalIndent(groups, "", "  ")
	if err != nil {
		return err
	}
	path := filepath.Join(s.options.DataDir, TargetsFile)
	if err := os.WriteFile(path+".new", b, 0o644); err != nil {
		return fmt.Errorf("write the scrape targets: %w", err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		return fmt.Errorf("write the scrape targets: %w", err)
	}
	return nil
}
