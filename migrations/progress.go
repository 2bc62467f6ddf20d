package migrations

import (
	"fmt"
	"io"
	"os"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"
)

// progress tells how many rows are done: on a terminal as a bar with rate and
// remaining time, else in a line for every tenth.
type progress struct {
	out         io.Writer
	bar         *progressbar.ProgressBar // nil if out is no terminal
	done, total int
	start       time.Time
}

func newProgress(out io.Writer, total int) *progress {
	p := &progress{out: out, total: total, start: time.Now()}
	if f, ok := out.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		p.bar = progressbar.NewOptions(total,
			progressbar.OptionSetWriter(out),
			progressbar.OptionSetDescription("loading"),
			progressbar.OptionSetItsString("rows"),
			progressbar.OptionShowIts(),
			progressbar.OptionShowCount(),
			progressbar.OptionSetPredictTime(true),
			progressbar.OptionThrottle(100*time.Millisecond),
			progressbar.OptionFullWidth(),
		)
	}
	return p
}

// add counts one row.
func (p *progress) add() error {
	p.done++
	if p.bar != nil {
		return p.bar.Add(1)
	}
	if p.done*10/p.total == (p.done-1)*10/p.total {
		return nil
	}
	rate := float64(p.done) / time.Since(p.start).Seconds()
	left := time.Duration(float64(p.total-p.done) / rate * float64(time.Second)).Round(time.Second)
	_, err := fmt.Fprintf(p.out, "loading: %3d%%  %d/%d rows, %.0f rows/s, %s left\n", p.done*100/p.total, p.done, p.total, rate, left)
	return err
}

func (p *progress) finish() error {
	if p.bar == nil {
		return nil
	}
	_, err := fmt.Fprintln(p.out)
	return err
}
