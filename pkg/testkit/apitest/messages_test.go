package apitest_test

import (
	"os"
	"path/filepath"
	"testing"

	"example.com/pizza/pkg/testkit/apitest"
)

// The folder of the test does not matter, whatever its name is.
func TestMessagesInAFolderWithASpace(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "a folder, 100 % ours")
	if err := os.Mkdir(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	t.Chdir(folder)
	m := apitest.NewMessages(t, []byte(`
components:
  schemas:
    Id: {type: integer}
  messages:
    created:
      name: order.created
      payload: {type: object, required: [id], properties: {id: {$ref: '#/components/schemas/Id'}}}
`))
	if err := m.Check("order.created", []byte(`{"id": 1}`)); err != nil {
		t.Error(err)
	}
	if err := m.Check("order.created", []byte(`{"id": "one"}`)); err == nil {
		t.Error("a message that is not in the document passes")
	}
}
