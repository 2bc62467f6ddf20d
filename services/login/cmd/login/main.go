// Command login serves the login service. Its configuration is in environment
// variables, which docs/configuration.md lists.
package main

import (
	"os"

	"example.com/pizza/pkg/server"
	"example.com/pizza/services/login/internal/app"
)

func main() { server.Main("login", os.Args[1:], app.Run) }
