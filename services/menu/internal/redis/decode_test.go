package redis

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"

	"example.com/pizza/services/menu/internal/menu"
)

// An entry in Redis is rejected unless it is a catalog that was signed with the
// key and can be encoded again.
func FuzzDecode(f *testing.F) {
	mark := menu.Mark{ID: "a mark", Key: []byte("a key that nobody else has")}
	c := menu.NewCatalog(7, nil, nil)
	c.Mark = mark
	entry, err := encode(c)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(entry)
	f.Add(entry[len(sign(nil, nil)):])
	f.Add([]byte(`{"Version":-1,"Mark":"a mark","Types":[{}],"Pizzas":[{"Price":"1e999"}]}`))
	f.Add([]byte(`null`))
	f.Fuzz(func(t *testing.T, body []byte) {
		if _, err := decode(body, mark); err == nil && !bytes.Equal(body, entry) {
			t.Fatal("taken without a signature")
		}
		for _, key := range [][]byte{nil, {}, []byte("short"), []byte("another key that is long enough")} {
			if _, err := decode(append(sign(body, key), body...), mark); err == nil {
				t.Fatalf("taken with a signature by the key %q", key)
			}
			if _, err := decode(append(sign(body, key), body...), menu.Mark{ID: mark.ID, Key: key}); err == nil && len(key) < minKey {
				t.Fatalf("the key %q is used", key)
			}
		}
		c, err := decode(append(sign(body, mark.Key), body...), mark)
		if err != nil {
			return
		}
		written, err := encode(c)
		if err != nil {
			t.Fatal(err)
		}
		again, err := decode(written, mark)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(stored{c.Version, c.Mark.ID, c.Types, c.Pizzas}, stored{again.Version, again.Mark.ID, again.Types, again.Pizzas}); diff != "" {
			t.Error(diff)
		}
		if _, err := decode(written, menu.Mark{ID: "another mark", Key: mark.Key}); err == nil {
			t.Error("taken under another mark")
		}
	})
}
