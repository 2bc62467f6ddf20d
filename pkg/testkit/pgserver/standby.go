package pgserver

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
)

// StartPair starts a new server and its standby, which follows it by streaming
// replication under the name standby. Both options need a DataDir that the server's
// account can reach; that of the standby must not exist.
func StartPair(ctx context.Context, of, ofStandby Options) (primary, standby *Server, err error) {
	first, err := Start(ctx, of)
	if err != nil {
		return nil, nil, err
	}
	if err := first.Stop(); err != nil {
		return nil, nil, err
	}
	out, err := exec.CommandContext(ctx, "cp", "-a", first.DataDir(), ofStandby.DataDir).CombinedOutput()
	if err != nil {
		return nil, nil, fmt.Errorf("copy the data of the primary: %w\n%s", err, out)
	}
	if err := Follow(ofStandby.DataDir); err != nil {
		return nil, nil, err
	}
	if primary, err = Start(ctx, of); err != nil {
		return nil, nil, err
	}
	settings := map[string]string{}
	maps.Copy(settings, ofStandby.Settings)
	settings["primary_conninfo"] = fmt.Sprintf(
		"host=127.0.0.1 port=%d user=%s password=%s application_name=standby", primary.port, superuser, primary.password)
	ofStandby.Settings = settings
	if standby, err = Start(ctx, ofStandby); err != nil {
		return nil, nil, errors.Join(err, primary.Stop())
	}
	return primary, standby, nil
}

// Follow makes the next start on a data folder that of a standby, which accepts no
// writes until it is promoted.
func Follow(dataDir string) error {
	s, err := inspect(dataDir)
	if err != nil {
		return err
	}
	account, err := accountFor(s)
	if err != nil {
		return err
	}
	signal := filepath.Join(dataDir, clusterDir, "standby.signal")
	return errors.Join(os.WriteFile(signal, nil, 0o600), account.own(signal))
}
