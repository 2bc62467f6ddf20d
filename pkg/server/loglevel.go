package server

import (
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"example.com/pizza/pkg/fault"
	"example.com/pizza/pkg/logging"
)

// longestLevel bounds the time of a more detailed log, which costs disk and attention.
const longestLevel = 24 * time.Hour

// levelAnswer is the current level.
type levelAnswer struct {
	Level string     `json:"level"`
	Until *time.Time `json:"until,omitempty"` // the return to the configured level
}

// routeLogLevel lets operators raise the detail of this process's log for a limited
// time, never below the configured detail. A debug log costs disk and time, so both
// operations require the admin token.
func (s *Server) routeLogLevel() {
	level := logging.LevelOf(s.log)
	if level == nil {
		return // not a logger of package logging
	}
	operators := s.config.Admin.Require(s.Audit())
	get(s.internal, logLevelPath, func(c echo.Context) error { return answerLevel(c, level) }, operators)
	s.internal.PUT(logLevelPath, func(c echo.Context) error {
		var to slog.Level
		var bad []fault.Field
		if err := to.UnmarshalText([]byte(c.QueryParam("level"))); err != nil {
			bad = append(bad, fault.Field{Field: "level", Message: "must be debug, info, warn or error"})
		}
		d, err := time.ParseDuration(c.QueryParam("for"))
		if err != nil || d <= 0 || d > longestLevel {
			bad = append(bad, fault.Field{Field: "for", Message: fmt.Sprintf("must be a time of at most %s, such as 15m", longestLevel)})
		}
		if len(bad) > 0 {
			return fault.InvalidFields(bad...)
		}
		level.Set(to, d)
		now, until := level.Current()
		s.log.WarnContext(c.Request().Context(), "log level set", "log_level", now.String(), "until", until)
		return answerLevel(c, level)
	}, operators, readQuery(func() []string { return []string{"level", "for"} }))
}

func answerLevel(c echo.Context, level *logging.Level) error {
	now, until := level.Current()
	a := levelAnswer{Level: now.String()}
	if !until.IsZero() {
		a.Until = &until
	}
	return c.JSON(http.StatusOK, a)
}
