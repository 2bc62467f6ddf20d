// Command menu serves the menu service. Its configuration is in environment
// variables, which docs/configuration.md lists.
package main

import (
	"os"

	"example.com/pizza/pkg/server"
	"example.com/pizza/services/menu/internal/app"
)

func main() { server.Main("menu", os.Args[1:], app.Run) }
