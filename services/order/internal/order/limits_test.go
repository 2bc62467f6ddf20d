package order_test

import (
	"os"
	"regexp"
	"strconv"
	"testing"

	"example.com/pizza/services/order/internal/order"
)

// The maximum number of lines is in two services and three documents that share no
// code. A valid order must be one that menu quotes, clients may send, and events may carry.
func TestMaxLinesAgree(t *testing.T) {
	t.Parallel()
	for file, want := range map[string]struct {
		pattern string
		times   int
	}{
		"../../api/openapi.yaml":               {`maxItems: (\d+)`, 2}, // lines, items
		"../../api/asyncapi.yaml":              {`maxItems: (\d+)`, 1},
		"../../../menu/api/openapi.yaml":       {`maxItems: (\d+)`, 1},
		"../../../menu/internal/menu/quote.go": {`MaxLines = (\d+)`, 1},
	} {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		found := regexp.MustCompile(want.pattern).FindAllStringSubmatch(string(text), -1)
		if len(found) != want.times {
			t.Errorf("%s: %d numbers, want %d", file, len(found), want.times)
		}
		for _, m := range found {
			if m[1] != strconv.Itoa(order.MaxLines) {
				t.Errorf("%s has %s, want %d", file, m[1], order.MaxLines)
			}
		}
	}
}
