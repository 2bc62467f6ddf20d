package viewer

import (
	"context"
	"encoding/json"
	"net/http"
	"os"
	"time"

	"example.com/pizza/deploy/local/stack"
)

// branches returns the names of the branches by id, as order lists them, because
// metrics have only ids. Without an answer, there are no names.
func (v *Viewer) branches(ctx context.Context) map[string]string {
	var groups []stack.Targets
	b, err := os.ReadFile(v.Targets)
	if err != nil || json.Unmarshal(b, &groups) != nil {
		return nil
	}
	var listed []struct {
		ID   string `json:"bran_id"`
		Name string `json:"bran_nm"`
	}
	for _, g := range groups {
		if g.Labels["job"] == "order" && get(ctx, "http://"+g.Labels[stack.PublicLabel]+"/order/branch/", &listed) == nil {
			break
		}
	}
	names := map[string]string{}
	for _, b := range listed {
		names[b.ID] = b.Name
	}
	return names
}

// get decodes the JSON that a service answers.
func get(ctx context.Context, url string, into any) error {
	q, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	client := &http.Client{Timeout: time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	r, err := client.Do(q)
	if err != nil {
		return err
	}
	defer func() { _ = r.Body.Close() }()
	return json.NewDecoder(r.Body).Decode(into)
}
