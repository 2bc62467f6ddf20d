// Command order serves the order service. Its configuration is in environment
// variables, which README.md lists.
package main

import (
	_ "time/tzdata" // SHOP_TIMEZONE works in an image without zone files

	"example.com/pizza/pkg/server"
	"example.com/pizza/services/order/internal/app"
)

func main() { server.Main("order", app.Run) }
