package server

import (
	"net/http"
	httppprof "net/http/pprof"
	"runtime/pprof"

	"github.com/labstack/echo/v4"
)

// routeProfiles lets operators profile this process with the tools of Go. A profile of
// the CPU or a trace ends with the deadline of its request at the latest. Profiles tell
// how the process works and slow it down, so without an admin token there is no route.
func (s *Server) routeProfiles() {
	if s.config.Admin.Token == "" {
		return
	}
	operators := s.config.Admin.Require(s.Audit())
	s.internal.GET(profilesPath+"/profile", echo.WrapHandler(http.HandlerFunc(httppprof.Profile)), operators)
	s.internal.GET(profilesPath+"/trace", echo.WrapHandler(http.HandlerFunc(httppprof.Trace)), operators)
	s.internal.GET(profilesPath+"/:name", func(c echo.Context) error {
		name := c.Param("name")
		if pprof.Lookup(name) == nil {
			return errNoPath
		}
		httppprof.Handler(name).ServeHTTP(c.Response(), c.Request())
		return nil
	}, operators)
}
