package guide

import (
	"os/exec"
	"strings"
	"testing"

	"example.com/pizza/pkg/testkit/contract"
)

// TestContract checks that the printed commands send only requests from the web
// client's contract, and find the token in the response.
func TestContract(t *testing.T) {
	t.Parallel()
	var web []*contract.Contract
	for _, service := range []string{"login", "menu", "order"} {
		c, err := contract.Read("../../../../services/" + service + "/api/consumers/web.yaml")
		if err != nil {
			t.Fatal(err)
		}
		web = append(web, c)
	}
	lines := strings.Join(Commands(Info{URL: contract.Serve(t, web...), Branch: "BRANCH001"}), "\n")
	out, err := exec.CommandContext(t.Context(), "sh", "-c", lines).CombinedOutput()
	if err != nil {
		t.Error(err)
	}
	for _, want := range []string{
		`"message":"the member is registered"`, `"pizza_nm":"The Barbecue Chicken Pizza"`, `"bran_id":"BRANCH001"`,
		`"total_price":41.5`, `"total_price":58.5`, `"status":"logged out"`,
	} {
		if !strings.Contains(string(out), want) {
			t.Errorf("no %s in:\n%s", want, out)
		}
	}
}
