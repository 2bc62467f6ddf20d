package app_test

import (
	"bufio"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	osexec "os/exec"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/labstack/echo/v4"

	"example.com/pizza/migrations/migrationstest"
	"example.com/pizza/pkg/logging"
	"example.com/pizza/pkg/testkit/pgtest"
	"example.com/pizza/services/menu/internal/app"
)

// clientAddress is set in the child process that sends the requests of BenchmarkServed.
const clientAddress = "BENCHMARK_CLIENT_ADDRESS"

func TestMain(m *testing.M) {
	address := os.Getenv(clientAddress)
	if address == "" {
		pgtest.Main(m)
		return
	}
	n, err := strconv.Atoi(os.Args[1])
	if err == nil {
		err = send(address, n)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// BenchmarkServed compares the service with an echo handler that writes the same bytes,
// over connections that are kept open. It reports the processor time and the allocations
// of this process; the client is another one. The two take turns, since a busy machine
// slows both: judge by the ratio.
func BenchmarkServed(b *testing.B) {
	stdout := logging.NewBuffer(discard(b))
	b.Cleanup(func() { _ = stdout.Close() })
	log := logging.New(logging.Config{Level: slog.LevelInfo}, stdout, "menu")
	a, err := app.New(b.Context(), configure(b, migrationstest.NewSeeded(b)), log)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(a.Close)
	public := a.Server.Public()
	for _, c := range []struct{ name, method, path, body string }{
		{"list", http.MethodGet, "/menu/", ""},
		{"lookup", http.MethodPost, "/menu/get_pizza_id/", `{"pizza_nm":"The Barbecue Chicken Pizza","size":"L"}`},
	} {
		request := fmt.Sprintf("%s %s HTTP/1.1\r\nHost: menu\r\nUser-Agent: benchmark\r\nAccept: */*\r\n", c.method, c.path)
		if c.body != "" {
			request += fmt.Sprintf("Content-Type: application/json\r\nContent-Length: %d\r\n", len(c.body))
		}
		request += "\r\n" + c.body
		w := httptest.NewRecorder()
		r := httptest.NewRequestWithContext(b.Context(), c.method, c.path, strings.NewReader(c.body))
		r.Header.Set("Content-Type", asJSON)
		public.ServeHTTP(w, r)
		bare := echo.New()
		bare.Add(c.method, c.path, func(ctx echo.Context) error {
			_, _ = io.Copy(io.Discard, ctx.Request().Body)
			ctx.Response().Header().Set("Content-Length", strconv.Itoa(w.Body.Len()))
			return ctx.Blob(w.Code, asJSON, w.Body.Bytes())
		})
		b.Run(c.name, func(b *testing.B) {
			const turn = 1000
			service, plain := listen(b, public), listen(b, bare)
			for left := b.N; left > 0; left -= turn {
				service.serve(b, request, min(left, turn))
				plain.serve(b, request, min(left, turn))
			}
			service.report(b, "service")
			plain.report(b, "bare")
			b.ReportMetric(float64(plain.processor)/float64(service.processor), "bare/service")
		})
	}
}

// discard returns a pipe to another process, as a container's standard output is.
func discard(b *testing.B) io.Writer {
	cmd := osexec.Command("cat")
	r, w, err := os.Pipe()
	if err != nil {
		b.Fatal(err)
	}
	cmd.Stdin = r
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	_ = r.Close()
	b.Cleanup(func() { _ = w.Close(); _ = cmd.Wait() })
	return w
}

// measured is a handler behind TCP, and what its requests have cost.
type measured struct {
	server         *httptest.Server
	processor      time.Duration
	bytes, objects uint64
}

func listen(b *testing.B, h http.Handler) *measured {
	s := httptest.NewUnstartedServer(h)
	s.Config.ReadTimeout, s.Config.WriteTimeout = 15*time.Second, 15*time.Second
	s.Start()
	b.Cleanup(s.Close)
	return &measured{server: s}
}

func (m *measured) serve(b *testing.B, request string, n int) {
	client := osexec.Command(os.Args[0], strconv.Itoa(n))
	client.Env = append(os.Environ(), clientAddress+"="+m.server.Listener.Addr().String())
	client.Stdin, client.Stderr = strings.NewReader(request), os.Stderr
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	began := processorTime(b)
	if err := client.Run(); err != nil {
		b.Fatal(err)
	}
	m.processor += processorTime(b) - began
	runtime.ReadMemStats(&after)
	m.bytes += after.TotalAlloc - before.TotalAlloc
	m.objects += after.Mallocs - before.Mallocs
}

func (m *measured) report(b *testing.B, name string) {
	b.ReportMetric(float64(m.processor.Nanoseconds())/1000/float64(b.N), name+"-cpu-µs/op")
	b.ReportMetric(float64(m.bytes)/float64(b.N), name+"-B/op")
	b.ReportMetric(float64(m.objects)/float64(b.N), name+"-allocs/op")
}

func processorTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// send sends the request on standard input n times over a few connections.
func send(address string, n int) error {
	request, err := io.ReadAll(os.Stdin)
	if err != nil {
		return err
	}
	const connections = 4
	var failed [connections]error
	var all sync.WaitGroup
	for i := range connections {
		all.Go(func() { failed[i] = sendOver(address, request, (n+i)/connections) })
	}
	all.Wait()
	for _, err := range failed {
		if err != nil {
			return err
		}
	}
	return nil
}

func sendOver(address string, request []byte, n int) error {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		return err
	}
	defer conn.Close()
	answers := bufio.NewReaderSize(conn, 64<<10)
	for range n {
		if _, err := conn.Write(request); err != nil {
			return err
		}
		a, err := http.ReadResponse(answers, nil)
		if err != nil {
			return err
		}
		if _, err := io.Copy(io.Discard, a.Body); err != nil {
			return err
		}
		if a.StatusCode != http.StatusOK {
			return fmt.Errorf("status %d", a.StatusCode)
		}
	}
	return nil
}
