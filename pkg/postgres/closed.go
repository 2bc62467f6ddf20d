package postgres

import (
	"errors"
	"io"
	"net"
	"strings"
)

// closed tells a connection that broke under a statement. pgconn reports some
// of these without a type.
func closed(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) ||
		strings.Contains(err.Error(), "conn closed") || strings.Contains(err.Error(), "closed pool")
}
