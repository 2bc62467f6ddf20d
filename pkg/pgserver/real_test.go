package pgserver
import ("testing";"os";"context";"time")
func TestReal(t *testing.T) {
 f := testFinder(t, t.TempDir()); f.globs=nil; f.searchPath=""; f.repository=""; f.cacheDir="/tmp/pgcache-real"; f.log=os.Stderr
 ctx, c := context.WithTimeout(t.Context(), 90*time.Second); defer c()
 b, err := f.find(ctx, 0); t.Log(b, err)
}
