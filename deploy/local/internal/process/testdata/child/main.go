// Command child is the program that the tests of package process run. Its first
// argument selects its behavior.
package main

import (
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"strings"
	"syscall"
)

func main() {
	switch os.Args[1] {
	case "fail": // two lines, the last one without a newline, and exit status 3
		fmt.Println("about to fail")
		fmt.Fprint(os.Stderr, "because of "+os.Getenv("REASON"))
		os.Exit(3)
	case "long": // a line longer than every buffer, and one after it
		fmt.Println(strings.Repeat("x", 200<<10))
		fmt.Println("end")
	case "count": // more lines than are kept
		for i := range 100 {
			fmt.Println(i)
		}
	case "serve": // until SIGTERM
		stop := make(chan os.Signal, 1)
		signal.Notify(stop, syscall.SIGTERM)
		fmt.Println("ready")
		<-stop
		fmt.Println("stopping")
	case "stubborn": // ignores SIGTERM
		signal.Ignore(syscall.SIGTERM)
		fmt.Println("ready")
		select {}
	case "connect": // holds a connection for as long as it lives
		conn, err := net.Dial("tcp", os.Args[2])
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		fmt.Fprintln(conn, os.Getpid(), os.Getppid())
		_, _ = io.Copy(io.Discard, conn)
	}
}
