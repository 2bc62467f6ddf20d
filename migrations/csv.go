package migrations

import (
	"compress/gzip"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"
	"unicode/utf8"
)

// record is one line of a CSV file.
type record struct {
	file   string
	reader *csv.Reader
	fields []string
	index  []int // of the wanted columns
	names  []string
}

// field returns the value of the i-th wanted column.
func (r record) field(i int) string { return r.fields[r.index[i]] }

// bad returns an error for the i-th wanted column: file, line, column and name.
func (r record) bad(i int, format string, args ...any) error {
	line, column := r.reader.FieldPos(r.index[i])
	return fmt.Errorf("%s:%d:%d: %s %s", r.file, line, column, r.names[i], fmt.Sprintf(format, args...))
}

// text returns the value of the i-th wanted column if it is text of 1 to limit
// characters that PostgreSQL can store.
func (r record) text(i, limit int) (string, error) {
	s := r.field(i)
	switch {
	case s == "":
		return "", r.bad(i, "is empty")
	case !utf8.ValidString(s) || strings.ContainsRune(s, 0):
		return "", r.bad(i, "is not valid UTF-8 text")
	case utf8.RuneCountInString(s) > limit:
		return "", r.bad(i, "is longer than %d characters", limit)
	}
	return s, nil
}

// readCSV calls row with every record of a CSV file (RFC 4180). The first line
// names the columns in any order; other columns are ignored. A .gz file is
// decompressed.
func readCSV(dir fs.FS, name string, columns []string, row func(record) error) (err error) {
	f, err := dir.Open(name)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	var content io.Reader = f
	if path.Ext(name) == ".gz" {
		if content, err = gzip.NewReader(f); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	r := record{file: name, reader: csv.NewReader(content), names: columns}
	r.reader.ReuseRecord = true
	head, err := r.reader.Read()
	if errors.Is(err, io.EOF) {
		return fmt.Errorf("%s: the file is empty", name)
	}
	if err != nil {
		return r.broken(err)
	}
	if r.index, err = find(columns, head); err != nil {
		return fmt.Errorf("%s:1: %w", name, err)
	}
	for {
		r.fields, err = r.reader.Read()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return r.broken(err)
		}
		if err := row(r); err != nil {
			return err
		}
	}
}

// broken formats a parser's error like bad.
func (r record) broken(err error) error {
	var parse *csv.ParseError
	if errors.As(err, &parse) {
		return fmt.Errorf("%s:%d:%d: %w", r.file, parse.Line, parse.Column, parse.Err)
	}
	return fmt.Errorf("%s: %w", r.file, err)
}

// find returns the indexes of the columns.
func find(columns, head []string) ([]int, error) {
	at := map[string]int{}
	for i, name := range head {
		name = strings.TrimPrefix(name, "\ufeff") // a byte order mark, written by spreadsheets
		if _, twice := at[name]; twice {
			return nil, fmt.Errorf("column %q is there twice", name)
		}
		at[name] = i
	}
	var index []int
	var missing []string
	for _, c := range columns {
		i, ok := at[c]
		if !ok {
			missing = append(missing, c)
		}
		index = append(index, i)
	}
	if missing != nil {
		return nil, fmt.Errorf("no column %s", strings.Join(missing, ", "))
	}
	return index, nil
}
