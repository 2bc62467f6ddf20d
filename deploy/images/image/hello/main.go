// Command hello is what the tests of package image put into an image.
package main

import "os"

func main() { _, _ = os.Stdout.WriteString("hello\n") }
