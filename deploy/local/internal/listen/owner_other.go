//go:build !linux

package listen

import "fmt"

// owner names a command that shows the owner, as there is no portable lookup.
func owner(_ string, port int) string {
	return fmt.Sprintf("another program (lsof -i :%d shows which)", port)
}
