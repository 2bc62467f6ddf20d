// Command order serves the order service. Its configuration is in environment
// variables, which docs/configuration.md lists.
//
// `order smoke` places an order with a system that runs, whose addresses are in
// LOGIN_URL, MENU_URL and ORDER_URL; `order smoke HOST:PORT …` only reports whether
// something answers there.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	_ "time/tzdata" // SHOP_TIMEZONE works in an image without zone files

	"example.com/pizza/pkg/config"
	"example.com/pizza/pkg/server"
	"example.com/pizza/services/order/internal/app"
	"example.com/pizza/services/order/internal/smoke"
)

func main() {
	if len(os.Args) > 1 && os.Args[1] == "smoke" {
		server.Main("order smoke", nil, runSmoke)
		return
	}
	server.Main("order", os.Args[1:], app.Run)
}

func runSmoke(ctx context.Context, environ []string, stdout io.Writer) error {
	for _, address := range os.Args[2:] {
		if err := smoke.Reach(ctx, address); err != nil {
			return err
		}
		if _, err := fmt.Fprintln(stdout, "reached", address); err != nil {
			return err
		}
	}
	if len(os.Args) > 2 {
		return nil
	}
	a, err := config.Load[smoke.Addresses](environ)
	if err != nil {
		return err
	}
	return smoke.Run(ctx, a, stdout)
}
