package redis

import (
	"crypto/sha256"
	"testing"

	"github.com/google/go-cmp/cmp"

	"example.com/pizza/services/menu/internal/menu"
)

// What stands in Redis is a catalog that can be written again, or it is refused.
func FuzzDecode(f *testing.F) {
	entry, err := encode(menu.NewCatalog(7, nil, nil))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(entry[sha256.Size:])
	f.Add([]byte(`{"Version":-1,"Types":[{}],"Pizzas":[{"Price":"1e999"}]}`))
	f.Add([]byte(`null`))
	f.Fuzz(func(t *testing.T, body []byte) {
		if _, err := decode(body); err == nil {
			t.Fatal("taken without its hash")
		}
		sum := sha256.Sum256(body)
		c, err := decode(append(sum[:], body...))
		if err != nil {
			return
		}
		written, err := encode(c)
		if err != nil {
			t.Fatal(err)
		}
		again, err := decode(written)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(stored{c.Version, c.Mark, c.Types, c.Pizzas}, stored{again.Version, again.Mark, again.Types, again.Pizzas}); diff != "" {
			t.Error(diff)
		}
	})
}
