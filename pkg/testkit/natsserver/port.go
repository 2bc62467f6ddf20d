package natsserver

import (
	"fmt"
	"runtime"
	"syscall"
)

// reservePorts returns ports on which servers can listen, again and again, until this
// process ends. A port that is only free when it is chosen may be taken before a server
// listens, or while it is stopped: each outgoing connection takes a port, too.
//
// Linux gives no port away on which a socket is bound, but lets another socket listen
// there if both have SO_REUSEADDR, which those of Go have (socket(7)). The reserving
// sockets are never closed. Other systems refuse the second socket, and reserve nothing.
func reservePorts(n int) (ports []int, err error) {
	for range n {
		port, err := reservePort()
		if err != nil {
			return nil, fmt.Errorf("reserve a port: %w", err)
		}
		ports = append(ports, port)
	}
	return ports, nil
}

func reservePort() (int, error) {
	syscall.ForkLock.RLock()
	socket, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	if err == nil {
		syscall.CloseOnExec(socket)
	}
	syscall.ForkLock.RUnlock()
	if err != nil {
		return 0, err
	}
	if runtime.GOOS != "linux" {
		defer syscall.Close(socket) //nolint:errcheck // nothing was written
	}
	if err := syscall.SetsockoptInt(socket, syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1); err != nil {
		return 0, err
	}
	if err := syscall.Bind(socket, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		return 0, err
	}
	address, err := syscall.Getsockname(socket)
	if err != nil {
		return 0, err
	}
	return address.(*syscall.SockaddrInet4).Port, nil //nolint:forcetypeassert // it is bound to one
}
