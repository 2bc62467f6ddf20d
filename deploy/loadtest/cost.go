package loadtest

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// Cost is the use of the machine by one request of a path, clients left out.
type Cost struct {
	Path     string        `json:"path"`
	Services time.Duration `json:"services_ns"`   // processor time of the three services
	Database time.Duration `json:"postgresql_ns"` // processor time of PostgreSQL
	WAL      int64         `json:"wal_bytes"`     // that PostgreSQL writes
}

// usage is the use of the machine since the system started.
type usage struct {
	services, database time.Duration
	wal                int64
}

func (s *system) usage(ctx context.Context) (u usage, err error) {
	for _, name := range services() { // Services has the replicas that were stopped, too
		own, err := readProcess(s.Service(name).Process().PID())
		if err != nil {
			return usage{}, err
		}
		u.services += own.used
	}
	var backend int
	err = s.admin.QueryRow(ctx, "SELECT pg_backend_pid(), pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::bigint").Scan(&backend, &u.wal)
	if err != nil {
		return usage{}, err
	}
	if u.database, err = family(backend); err != nil {
		return usage{}, err
	}
	return u, nil
}

// family returns the processor time of a process's parent and of all its children, those
// that have exited included. PostgreSQL has one process per connection.
func family(child int) (time.Duration, error) {
	c, err := readProcess(child)
	if err != nil {
		return 0, err
	}
	parent, err := readProcess(c.parent)
	if err != nil {
		return 0, err
	}
	used := parent.used + parent.exited
	files, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return 0, err
	}
	for _, file := range files {
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(file)))
		if err != nil {
			return 0, err
		}
		if p, err := readProcess(pid); err == nil && p.parent == c.parent { // one that has just exited is among the exited
			used += p.used
		}
	}
	return used, nil
}

// process is a row of /proc/PID/stat.
type process struct {
	parent       int
	used, exited time.Duration // processor time of its own, and of children that have exited
}

func readProcess(pid int) (process, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return process{}, err
	}
	return parseStat(string(b))
}

// parseStat reads a row as proc_pid_stat(5) describes it. Times are in ticks of 10 ms.
func parseStat(stat string) (process, error) {
	const tick = 10 * time.Millisecond
	fields := strings.Fields(stat[strings.LastIndex(stat, ")")+1:]) // the name of the program may contain anything
	if len(fields) < 15 {
		return process{}, fmt.Errorf("unknown format of the state of a process: %q", stat)
	}
	var n [5]int
	for i, at := range []int{1, 11, 12, 13, 14} {
		var err error
		if n[i], err = strconv.Atoi(fields[at]); err != nil {
			return process{}, fmt.Errorf("unknown format of the state of a process: %w", err)
		}
	}
	return process{parent: n[0], used: time.Duration(n[1]+n[2]) * tick, exited: time.Duration(n[3]+n[4]) * tick}, nil
}

// costOf runs work, and returns what each of its requests cost. It is the zero Cost where
// the system does not show the processor time of processes.
func (s *system) costOf(ctx context.Context, path string, work func() (requests int, err error)) (Cost, error) {
	if !hasProc() {
		_, err := work()
		return Cost{}, err
	}
	before, err := s.usage(ctx)
	if err != nil {
		return Cost{}, err
	}
	n, err := work()
	if err != nil || n == 0 {
		return Cost{}, err
	}
	after, err := s.usage(ctx)
	if err != nil {
		return Cost{}, err
	}
	return Cost{
		Path:     path,
		Services: (after.services - before.services) / time.Duration(n),
		Database: (after.database - before.database) / time.Duration(n),
		WAL:      (after.wal - before.wal) / int64(n),
	}, nil
}
