package httpapi

import (
	"bytes"
	"compress/gzip"
	"strconv"
	"strings"
)

// compress returns the gzip form of a body.
func compress(body []byte) ([]byte, error) {
	var out bytes.Buffer
	w, err := gzip.NewWriterLevel(&out, gzip.BestCompression) // once per version
	if err != nil {
		return nil, err
	}
	if _, err := w.Write(body); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// takesGzip reports whether an Accept-Encoding field (RFC 9110, section 12.5.3) names gzip,
// or *, with a weight of at least that of the plain form. Unknown members are ignored.
func takesGzip(acceptEncoding string) bool {
	gzipQ, identityQ, anyQ := -1.0, -1.0, -1.0 // not named
	for part := range strings.SplitSeq(acceptEncoding, ",") {
		coding, parameter, weighted := strings.Cut(part, ";")
		q := 1.0
		if weighted {
			var ok bool
			if q, ok = weight(parameter); !ok {
				continue
			}
		}
		switch strings.ToLower(strings.Trim(coding, " \t")) {
		case "gzip", "x-gzip": // the same, section 8.4.1.3
			gzipQ = max(gzipQ, q)
		case "identity":
			identityQ = q
		case "*":
			anyQ = q
		}
	}
	if gzipQ < 0 {
		gzipQ = anyQ
	}
	return gzipQ > 0 && gzipQ >= identityQ
}

// weight reads "q=0.5" (section 12.4.2).
func weight(parameter string) (q float64, ok bool) {
	name, value, _ := strings.Cut(strings.Trim(parameter, " \t"), "=")
	q, err := strconv.ParseFloat(value, 64)
	return q, strings.EqualFold(name, "q") && err == nil && q >= 0 && q <= 1
}
