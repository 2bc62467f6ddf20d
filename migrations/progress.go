package migrations

import (
	"fmt"
	"io"
	"os"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"
)

// longestSilence is the maximum time between two lines.
const longestSilence = 30 * time.Second

// progress reports progress: on a terminal as a bar with rate and remaining
// time, otherwise as a line per tenth, and at least every longestSilence.
type progress struct {
	out         io.Writer
	doing, what string                   // "loading" "rows"
	bar         *progressbar.ProgressBar // nil if out is not a terminal
	done, total int
	start, told time.Time
}

func newProgress(out io.Writer, doing, what string, total int) *progress {
	now := time.Now()
	p := &progress{out: out, doing: doing, what: what, total: total, start: now, told: now}
	if f, ok := out.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		p.bar = progressbar.NewOptions(total,
			progressbar.OptionSetWriter(out),
			progressbar.OptionSetDescription(doing),
			progressbar.OptionSetItsString(what),
			progressbar.OptionShowIts(),
			progressbar.OptionShowCount(),
			progressbar.OptionSetPredictTime(true),
			progressbar.OptionThrottle(100*time.Millisecond),
			progressbar.OptionFullWidth(),
		)
	}
	return p
}

// add counts one item. Items beyond the total, added by others meanwhile, are
// not reported.
func (p *progress) add() error {
	if p.done == p.total {
		return nil
	}
	p.done++
	if p.bar != nil {
		return p.bar.Add(1)
	}
	if p.done*10/p.total == (p.done-1)*10/p.total && time.Since(p.told) < longestSilence {
		return nil
	}
	p.told = time.Now()
	rate := float64(p.done) / time.Since(p.start).Seconds()
	left := time.Duration(float64(p.total-p.done) / rate * float64(time.Second)).Round(time.Second)
	_, err := fmt.Fprintf(p.out, "%s: %3d%%  %d/%d %s, %.0f %s/s, %s left\n", p.doing, p.done*100/p.total, p.done, p.total, p.what, rate, p.what, left)
	return err
}

func (p *progress) finish() error {
	if p.bar == nil {
		return nil
	}
	_, err := fmt.Fprintln(p.out)
	return err
}
