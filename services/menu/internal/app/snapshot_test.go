package app_test

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"

	"example.com/pizza/migrations/migrationstest"
	"example.com/pizza/pkg/testkit/apitest"
	"example.com/pizza/services/menu/api"
	"example.com/pizza/services/menu/internal/app"
)

// A change reaches every replica, regardless of who makes it: the writing
// replica at once, the others about a second later.
func TestChangeReachesEveryReplica(t *testing.T) {
	t.Parallel()
	db := migrationstest.NewSeeded(t)
	cache := miniredis.RunT(t)
	shared := func(c *app.Config) { c.Cache.URL, c.Cache.Timeout = "redis://"+cache.Addr(), time.Second }
	replicas := []*service{
		{apitest.Serve(t, newApp(t, db).Server, api.Document)},
		{apitest.Serve(t, newApp(t, db, shared).Server, api.Document)},
		{apitest.Serve(t, newApp(t, db, shared).Server, api.Document)},
	}
	see := func(price string) {
		t.Helper()
		want := `"pizza_id":"bbq_ckn_l","pizza_img_url":"images/bbq_ckn.png","pizza_nm":"The Barbecue Chicken Pizza",` +
			`"pizza_type__pizza_nm":"The Barbecue Chicken Pizza","pizza_type_id":"bbq_ckn","price":` + price + `,`
		for i, r := range replicas {
			for deadline := time.Now().Add(20 * time.Second); !strings.Contains(string(r.Get(t, "/menu/").Body), want); time.Sleep(20 * time.Millisecond) {
				if time.Now().After(deadline) {
					t.Fatalf("replica %d never has the price %s: %s", i, price, r.Get(t, "/menu/?q=barbecue").Body)
				}
			}
		}
	}
	see("20.75")
	monolith := superuser(t, db)
	for i := range 16 {
		price := strconv.Itoa(i + 1)
		if i%2 == 0 {
			writer := replicas[i%len(replicas)]
			a := writer.write(t, http.MethodPut, "/int/menu/pizzas/bbq_ckn_l", `{"pizza_type_id":"bbq_ckn","size":"L","price":`+price+`}`)
			if q, v := writer.quoted(t, "bbq_ckn_l"); q.UnitPrice.String() != price+".00" || v != version(t, a) {
				t.Errorf("after its own write to %s: %s of version %d, want %d", price, q.UnitPrice, v, version(t, a))
			}
		} else {
			exec(t, monolith, "UPDATE pizza SET price = "+price+" WHERE pizza_id = 'bbq_ckn_l'")
		}
		switch i {
		case 9:
			cache.Close()
		case 12:
			if err := cache.Restart(); err != nil {
				t.Fatal(err)
			}
		}
		see(price)
	}
}

// Each of many concurrent writers reads its own write through its replica.
func TestReadYourWrites(t *testing.T) {
	t.Parallel()
	s := start(t, migrationstest.NewSeeded(t))
	var all sync.WaitGroup
	for w := range 8 {
		all.Go(func() {
			path := "/int/menu/types/type" + strconv.Itoa(w)
			for i := range 10 {
				name := "Name " + strconv.Itoa(w) + "-" + strconv.Itoa(i)
				body := `{"pizza_nm":"` + name + `","pizza_categ":"C","pizza_img_url":"images/x.png"}`
				a, err := s.Send(t.Context(), http.MethodPut, path, body, "Authorization", "Bearer "+adminToken, "Content-Type", asJSON)
				if err != nil || a.Status >= 300 {
					t.Errorf("%d %s, %v", a.Status, a.Body, err)
					return
				}
				if a, err := s.Send(t.Context(), http.MethodGet, "/menu/types/", ""); err != nil || !strings.Contains(string(a.Body), name) {
					t.Errorf("%s is not there after it was written: %v", name, err)
				}
			}
		})
	}
	all.Wait()
}

// The whole lists are compressed for clients that accept it; each form has its
// own ETag.
func TestCompressed(t *testing.T) {
	t.Parallel()
	s := start(t, migrationstest.NewSeeded(t))
	transport := &http.Transport{DisableCompression: true}
	t.Cleanup(transport.CloseIdleConnections)
	wire := &service{&apitest.Service{Public: s.Public, Internal: s.Internal, Client: &http.Client{Transport: transport}}}
	const accept = "Accept-Encoding"
	for _, path := range []string{"/menu/", "/api/menu/types", "/int/menu/catalog"} {
		plain, packed := wire.Get(t, path, accept, "identity"), wire.Get(t, path, accept, "br", accept, "gzip;q=0.5")
		r, err := gzip.NewReader(bytes.NewReader(packed.Body))
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(r)
		if err != nil || !bytes.Equal(body, plain.Body) {
			t.Errorf("%s: the forms have other contents: %v", path, err)
		}
		for name, a := range map[string]apitest.Answer{"": plain, "gzip": packed} {
			if a.Header.Get("Content-Encoding") != name || !strings.Contains(strings.Join(a.Header.Values("Vary"), ","), accept) ||
				a.Header.Get("Content-Length") != strconv.Itoa(len(a.Body)) || a.Header.Get("Content-Type") != asJSON {
				t.Errorf("%s %q: %v", path, name, a.Header)
			}
		}
		if 2*len(packed.Body) > len(plain.Body) {
			t.Errorf("%s: %d bytes of %d", path, len(packed.Body), len(plain.Body))
		}
		etag := packed.Header.Get("ETag")
		if etag == plain.Header.Get("ETag") || strings.HasPrefix(etag, "W/") {
			t.Errorf("%s: ETag %s for both forms", path, etag)
		}
		if a := wire.Get(t, path, accept, "gzip", "If-None-Match", etag); a.Status != http.StatusNotModified ||
			a.Header.Get("ETag") != etag || a.Header.Get("Content-Encoding") != "" || !strings.Contains(strings.Join(a.Header.Values("Vary"), ","), accept) {
			t.Errorf("%s: %d %v", path, a.Status, a.Header)
		}
		if a := wire.Get(t, path, "If-None-Match", etag); a.Status != http.StatusOK {
			t.Errorf("%s: the ETag of one form stands for the other: %d", path, a.Status)
		}
	}
	if a := wire.Get(t, "/menu/?size=L", accept, "gzip"); a.Header.Get("Content-Encoding") != "" || a.Status != http.StatusOK {
		t.Errorf("a filtered list: %d %v", a.Status, a.Header)
	}
}
