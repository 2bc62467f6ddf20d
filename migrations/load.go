package migrations

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// The limits of load. A replica within them is still useful to readers, and far from losing
// its place in the primary's log. Where orders are placed at the usual rate, few statements
// overlap: eight at once mean that they queue, for cores or for locks.
const (
	mostLag       = 10 * time.Second
	mostLagBytes  = 64 << 20
	mostActive    = 8
	loadLookEvery = time.Second
)

// load tells whether replicas and other clients can bear more work.
type load struct {
	conn *pgx.Conn
}

// watchLoad connects as the role of dsn itself, which needs pg_read_all_stats to see what
// others do. Without, it warns, and load finds everything idle.
func watchLoad(ctx context.Context, dsn string) (*load, error) {
	c, err := parse(ctx, dsn)
	if err != nil {
		return nil, err
	}
	conn, err := dial(ctx, c)
	if err != nil {
		return nil, err
	}
	l := &load{conn}
	var sees, may bool
	err = conn.QueryRow(ctx, `
		SELECT pg_has_role('pg_read_all_stats', 'USAGE'), pg_has_role('pg_read_all_stats', 'MEMBER')`).Scan(&sees, &may)
	switch {
	case err != nil:
	case may && !sees:
		_, err = conn.Exec(ctx, "SET ROLE pg_read_all_stats")
	case !may:
		warn(ctx, fmt.Sprintf("%s cannot see replicas and load, and does not wait for them; "+
			"a superuser can GRANT pg_read_all_stats TO %[1]s", pgx.Identifier{c.User}.Sanitize()))
	}
	if err != nil {
		l.close(ctx)
		return nil, err
	}
	return l, nil
}

func (l *load) close(ctx context.Context) { _ = l.conn.Close(context.WithoutCancel(ctx)) }

// wait returns when neither replicas nor clients are behind. It warns once if that takes time.
func (l *load) wait(ctx context.Context) error {
	for told := false; ; told = true {
		var lag float64
		var lagBytes int64
		var active int
		err := l.conn.QueryRow(ctx, `
			SELECT coalesce(max(extract(epoch FROM replay_lag)), 0)::float8,
				coalesce(max(pg_wal_lsn_diff(pg_current_wal_lsn(), replay_lsn)), 0)::bigint,
				(SELECT count(*) FROM pg_stat_activity
				 WHERE state = 'active' AND backend_type = 'client backend' AND datname = current_database()
					AND pid <> pg_backend_pid())
			FROM pg_stat_replication WHERE state = 'streaming'`).Scan(&lag, &lagBytes, &active)
		if err != nil {
			return err
		}
		var why string
		switch {
		case lag > mostLag.Seconds():
			why = fmt.Sprintf("a replica is %.0f s behind", lag)
		case lagBytes > mostLagBytes:
			why = fmt.Sprintf("a replica is %d MiB behind", lagBytes>>20)
		case active > mostActive:
			why = fmt.Sprintf("%d statements are running", active)
		default:
			return nil
		}
		if !told {
			warn(ctx, "waiting: "+why)
		}
		if err := pause(ctx, loadLookEvery); err != nil {
			return err
		}
	}
}
