package loadtest

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
)

// hasProc reports whether the system shows the memory of processes in /proc, as Linux does.
func hasProc() bool {
	_, err := os.Stat("/proc/self/status")
	return err == nil
}

// memory returns the resident memory of a process in MiB.
func memory(pid int) (float64, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	return readMemory(string(b))
}

func readMemory(status string) (float64, error) {
	for line := range strings.Lines(status) {
		if value, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kib, err := strconv.ParseFloat(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 64)
			return kib / 1024, err
		}
	}
	return 0, fmt.Errorf("no VmRSS in the status of the process")
}

func (r *run) idleMemory(name string) measure {
	return func(context.Context) (float64, error) { return r.idle[name], nil }
}
