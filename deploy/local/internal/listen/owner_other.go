//go:build !linux

package listen

import "fmt"

// owner has no portable way to know; it says what shows it.
func owner(_ string, port int) string {
	return fmt.Sprintf("another program (lsof -i :%d shows which)", port)
}
