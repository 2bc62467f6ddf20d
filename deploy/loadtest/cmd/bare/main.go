// Command bare is a server without anything but the framework of the services: the
// yardstick of package loadtest. It answers GET /menu with the bytes of a file, and
// POST /menu/get_pizza_id/ with the JSON that menu would.
package main

import (
	"fmt"
	"net/http"
	"os"

	"github.com/labstack/echo/v4"
)

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "bare: ADDRESS and FILE are required")
		os.Exit(2)
	}
	if err := serve(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, "bare: "+err.Error())
		os.Exit(1)
	}
}

// serve serves until it is killed.
func serve(address, file string) error {
	menu, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	e := echo.New()
	e.HideBanner, e.HidePort = true, true
	e.GET("/menu", func(c echo.Context) error { return c.Blob(http.StatusOK, echo.MIMEApplicationJSON, menu) })
	e.POST("/menu/get_pizza_id/", func(c echo.Context) error {
		var asked struct {
			Name string `json:"pizza_nm"`
			Size string `json:"size"`
		}
		if err := c.Bind(&asked); err != nil {
			return err
		}
		return c.JSON(http.StatusOK, map[string]string{"pizza_id": asked.Name + asked.Size})
	})
	return e.Start(address)
}
