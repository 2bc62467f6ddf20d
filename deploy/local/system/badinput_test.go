package system

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
)

const (
	maxBody = 64 << 10 // bytes; the services' limit
	sql     = `'); DROP TABLE orders; SELECT pg_sleep(9); --`
)

// testBadInput checks that bad input gets a 4xx that names the field, and that
// nothing is written.
func (s *system) testBadInput(t *testing.T) {
	token := s.member(t, "careful")
	db := s.database(t)
	const count = `SELECT (SELECT count(*) FROM member) * 1000000 + (SELECT count(*) FROM orders) * 1000 + (SELECT count(*) FROM order_detail)`
	before := scalar[int64](t, db, count)
	t.Run("all", func(t *testing.T) { // waits for its parallel subtests
		t.Run("bodies", func(t *testing.T) { t.Parallel(); s.testBadBodies(t, token) })
		t.Run("register", func(t *testing.T) { t.Parallel(); s.testBadRegister(t) })
		t.Run("log in", func(t *testing.T) { t.Parallel(); s.testBadLogin(t) })
		t.Run("look up a pizza", func(t *testing.T) { t.Parallel(); s.testBadLookUp(t) })
		t.Run("order", func(t *testing.T) { t.Parallel(); s.testBadOrder(t, token) })
		t.Run("queries and paths", func(t *testing.T) { t.Parallel(); s.testBadQueries(t, token) })
	})
	if after := scalar[int64](t, db, count); after != before {
		t.Errorf("something was written: rows of member, orders, order_detail were %09d and are %09d", before, after)
	}
}

// testBadBodies sends malformed bodies to every operation that takes a body.
func (s *system) testBadBodies(t *testing.T, token string) {
	type body struct {
		media, text string
		status      int
	}
	bodies := map[string]body{
		"empty":                        {mediaJSON, ``, http.StatusBadRequest},
		"space":                        {mediaJSON, " \n", http.StatusBadRequest},
		"broken JSON":                  {mediaJSON, `{"id":"a"`, http.StatusBadRequest},
		"two objects":                  {mediaJSON, `{}{}`, http.StatusBadRequest},
		"a trailing comma":             {mediaJSON, `{"id":"a",}`, http.StatusBadRequest},
		"array":                        {mediaJSON, `[{"id":"a"}]`, http.StatusBadRequest},
		"string":                       {mediaJSON, `"id"`, http.StatusBadRequest},
		"number":                       {mediaJSON, `1e999`, http.StatusBadRequest},
		"null":                         {mediaJSON, `null`, http.StatusBadRequest},
		"true":                         {mediaJSON, `true`, http.StatusBadRequest},
		"invalid UTF-8":                {mediaJSON, "{\"id\":\"\xff\xfe\",\"branchId\":\"\xc3\"}", http.StatusBadRequest},
		"a NUL byte":                   {mediaJSON, "{\"id\":\"a\x00b\"}", http.StatusBadRequest},
		"NUL escapes":                  {mediaJSON, `{"id":"\u0000","pw":"\u0000","pizza_nm":"\u0000","size":"\u0000","branchId":"\u0000"}`, http.StatusBadRequest},
		"deep nesting":                 {mediaJSON, `{"lines":` + strings.Repeat("[", 20000) + strings.Repeat("]", 20000) + `}`, http.StatusBadRequest},
		"UTF-16":                       {mediaJSON, "\xff\xfe{\x00}\x00", http.StatusBadRequest},
		"form with a bad escape":       {mediaForm, "id=%zz&pizza_nm=%", http.StatusBadRequest},
		"form with a semicolon":        {mediaForm, "id=a;pw=b", http.StatusBadRequest},
		"form with invalid UTF-8":      {mediaForm, "id=%ff&pw=%ff&pizza_nm=%ff&branchId=%ff", http.StatusBadRequest},
		"form with a NUL":              {mediaForm, "id=%00&pw=%00&pizza_nm=%00&size=%00&branchId=%00", http.StatusBadRequest},
		"form with a field twice":      {mediaForm, "id=a&id=b&pizza_nm=a&pizza_nm=b&branchId=a&branchId=b", http.StatusBadRequest},
		"JSON that says it is a form":  {mediaForm, `{"id":"a","pw":"b"}`, http.StatusBadRequest},
		"over the limit":               {mediaJSON, `{"id":"` + strings.Repeat("a", maxBody) + `"}`, http.StatusRequestEntityTooLarge},
		"form over the limit":          {mediaForm, "id=" + strings.Repeat("a", maxBody), http.StatusRequestEntityTooLarge},
		"far over the limit":           {mediaJSON, `{"id":"` + strings.Repeat("a", 8<<20) + `"}`, http.StatusRequestEntityTooLarge},
		"XML":                          {"application/xml", `<id>a</id>`, http.StatusUnsupportedMediaType},
		"text":                         {"text/plain", `{"id":"a","pw":"b"}`, http.StatusUnsupportedMediaType},
		"multipart":                    {"multipart/form-data; boundary=x", "--x--", http.StatusUnsupportedMediaType},
		"a media type that is no type": {"//;=", `{}`, http.StatusUnsupportedMediaType},
	}
	for _, path := range []string{"/login/register/", "/login/", "/menu/get_pizza_id/", "/order/"} {
		for name, b := range bodies {
			t.Run(path+" "+name, func(t *testing.T) {
				t.Parallel()
				s.send(t, request{method: http.MethodPost, path: path, token: token, media: b.media, body: b.text}).wantProblem(t, b.status)
			})
		}
	}
}

func (s *system) testBadRegister(t *testing.T) {
	for name, tc := range map[string]struct {
		body   string
		fields []string
	}{
		"nothing":                   {`{}`, []string{"id", "name", "pw"}},
		"nulls":                     {`{"id":null,"pw":null,"name":null}`, []string{"id", "name", "pw"}},
		"empty texts":               {`{"id":"","pw":"","name":""}`, []string{"id", "name", "pw"}},
		"empty under the new names": {`{"member_id":"","password":"","member_nm":""}`, []string{"member_id", "member_nm", "password"}},
		"wrong types":               {`{"id":1,"pw":true,"name":["x"]}`, []string{"id", "name", "pw"}},
		"objects":                   {`{"id":{},"pw":{"a":1},"name":{}}`, []string{"id", "name", "pw"}},
		"an id of 101 characters":   {js(t, object{"id": strings.Repeat("피", 101), "pw": password, "name": "x"}), []string{"id"}},
		"a name of 101 characters":  {js(t, object{"id": "x", "pw": password, "name": strings.Repeat("이", 101)}), []string{"name"}},
		"NUL in every field":        {`{"id":"a\u0000","pw":"password\u0000","name":"b\u0000"}`, []string{"id", "name", "pw"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s.postJSON(t, "/login/register/", "", tc.body).wantProblem(t, http.StatusBadRequest, tc.fields...)
		})
	}
	t.Run("by form", func(t *testing.T) {
		t.Parallel()
		s.postForm(t, "/login/register/", url.Values{"id": {"x"}}).wantProblem(t, http.StatusBadRequest, "name", "pw")
	})
}

func (s *system) testBadLogin(t *testing.T) {
	for name, tc := range map[string]struct {
		body   string
		status int
		fields []string
	}{
		"nothing":             {`{}`, http.StatusBadRequest, []string{"id", "pw"}},
		"no password":         {`{"id":"careful"}`, http.StatusBadRequest, []string{"pw"}},
		"wrong types":         {`{"id":["careful"],"pw":{"$ne":""}}`, http.StatusBadRequest, []string{"id", "pw"}},
		"SQL":                 {js(t, object{"id": "careful' OR '1'='1", "pw": "' OR '1'='1' --"}), http.StatusUnauthorized, nil},
		"SQL in the password": {js(t, object{"id": "careful", "pw": "pw" + sql}), http.StatusUnauthorized, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s.postJSON(t, "/login/", "", tc.body).wantProblem(t, tc.status, tc.fields...)
		})
	}
	t.Run("an id that nobody can have", func(t *testing.T) {
		t.Parallel()
		a := s.postJSON(t, "/login/", "", js(t, object{"id": strings.Repeat("a", 5000), "pw": "x"}))
		if a.status != http.StatusUnauthorized && a.status != http.StatusBadRequest {
			t.Errorf("answer %d %s", a.status, a.body)
		}
	})
}

func (s *system) testBadLookUp(t *testing.T) {
	for name, tc := range map[string]struct {
		body   string
		status int
		fields []string
	}{
		"nothing":       {`{}`, http.StatusBadRequest, []string{"pizza_nm", "size"}},
		"no size":       {`{"name":"The Hawaiian Pizza"}`, http.StatusBadRequest, []string{"size"}},
		"wrong types":   {`{"pizza_nm":7,"size":[]}`, http.StatusBadRequest, []string{"pizza_nm", "size"}},
		"another case":  {`{"pizza_nm":"the hawaiian pizza","size":"m"}`, http.StatusNotFound, nil},
		"a wildcard":    {`{"pizza_nm":"The Hawaiian%","size":"_"}`, http.StatusNotFound, nil},
		"SQL":           {js(t, object{"pizza_nm": sql, "size": sql}), http.StatusNotFound, nil},
		"Korean":        {`{"pizza_nm":"하와이안 피자","size":"대"}`, http.StatusNotFound, nil},
		"a very long 1": {js(t, object{"pizza_nm": strings.Repeat("a", 40000), "size": "M"}), 0, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := s.postJSON(t, "/menu/get_pizza_id/", "", tc.body)
			if tc.status == 0 { // rejected as too long or as unknown: both are correct
				if a.status != http.StatusBadRequest && a.status != http.StatusNotFound {
					t.Errorf("answer %d %s", a.status, a.body)
				}
				return
			}
			a.wantProblem(t, tc.status, tc.fields...)
		})
	}
}

func (s *system) testBadOrder(t *testing.T, token string) {
	branch := s.branch(t)
	good := object{"pizza_id": "hawaiian_s", "quantity": 1}
	lines := func(l ...any) string { return js(t, object{"branchId": branch, "lines": l}) }
	quantity := func(text string) string {
		return `{"branchId":"` + branch + `","lines":[{"pizza_id":"hawaiian_s","quantity":` + text + `}]}`
	}
	many := make([]any, 51)
	for i := range many {
		many[i] = good
	}
	for name, tc := range map[string]struct {
		body   string
		fields []string
	}{
		"nothing":                    {`{}`, []string{"branchId", "lines"}},
		"no lines":                   {lines(), []string{"lines"}},
		"51 lines":                   {lines(many...), []string{"lines"}},
		"lines that are no list":     {js(t, object{"branchId": branch, "lines": good}), []string{"lines"}},
		"lines as text":              {js(t, object{"branchId": branch, "lines": "[]"}), []string{"lines"}},
		"a line that is no object":   {lines(good, 7, "x", nil), []string{"lines[1]", "lines[2]", "lines[3]"}},
		"a line without a pizza":     {lines(object{"quantity": 1}), []string{"lines[0]"}},
		"a name without a size":      {lines(object{"name": "The Hawaiian Pizza", "quantity": 1}), []string{"lines[0].size"}},
		"wrong types":                {`{"branchId":7,"lines":[{"pizza_id":{},"quantity":"two"}]}`, []string{"branchId", "lines[0].pizza_id", "lines[0].quantity"}},
		"no quantity":                {lines(object{"pizza_id": "hawaiian_s"}), []string{"lines[0].quantity"}},
		"quantity 0":                 {quantity("0"), []string{"lines[0].quantity"}},
		"quantity -1":                {quantity("-1"), []string{"lines[0].quantity"}},
		"quantity -0.0":              {quantity("-0.0"), []string{"lines[0].quantity"}},
		"quantity 100":               {quantity("100"), []string{"lines[0].quantity"}},
		"quantity 1.5":               {quantity("1.5"), []string{"lines[0].quantity"}},
		"quantity 1e400":             {quantity("1e400"), []string{"lines[0].quantity"}},
		"quantity 2^31":              {quantity("2147483648"), []string{"lines[0].quantity"}},
		"quantity 2^64+1":            {quantity("18446744073709551617"), []string{"lines[0].quantity"}},
		"quantity of 5000 digits":    {quantity(strings.Repeat("9", 5000)), []string{"lines[0].quantity"}},
		"quantity null":              {quantity("null"), []string{"lines[0].quantity"}},
		"quantity true":              {quantity("true"), []string{"lines[0].quantity"}},
		"an unknown pizza":           {lines(good, object{"pizza_id": "pineapple_crime", "quantity": 1}), []string{"lines[1]"}},
		"an unknown name":            {lines(object{"name": "피자", "size": "L", "quantity": 1}), nil},
		"an unknown size":            {lines(object{"pizza_nm": "The Hawaiian Pizza", "size": "XXL", "quantity": 1}), nil},
		"an unknown branch":          {js(t, object{"branchId": "없는 지점", "lines": []any{good}}), []string{"branchId"}},
		"an unknown branch, bran_id": {js(t, object{"bran_id": sql, "items": []any{good}}), []string{"bran_id"}},
		"a branch of 101 characters": {js(t, object{"branchId": strings.Repeat("점", 101), "lines": []any{good}}), []string{"branchId"}},
		"SQL in every field":         {lines(object{"pizza_id": sql, "name": sql, "size": sql, "quantity": 1}), nil},
		"NUL in every field": {
			`{"branchId":"\u0000","lines":[{"pizza_id":"\u0000","name":"\u0000","size":"\u0000","quantity":1}]}`,
			[]string{"branchId", "lines[0].name", "lines[0].pizza_id", "lines[0].size"},
		},
		"expected_total as text":     {js(t, object{"branchId": branch, "lines": []any{good}, "expected_total": "much"}), []string{"expected_total"}},
		"a negative expected_total":  {js(t, object{"branchId": branch, "lines": []any{good}, "expected_total": -1}), []string{"expected_total"}},
		"an expected_total of 1e999": {`{"branchId":"` + branch + `","lines":[{"pizza_id":"hawaiian_s","quantity":1}],"expected_total":1e999}`, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := s.postJSON(t, "/order/", token, tc.body)
			if name == "an expected_total of 1e999" && a.status == http.StatusConflict {
				return // a valid number that differs from the price
			}
			a.wantProblem(t, http.StatusBadRequest, tc.fields...)
		})
	}
}

func (s *system) testBadQueries(t *testing.T, token string) {
	for query, field := range map[string]string{
		"limit=0": "limit", "limit=-1": "limit", "limit=501": "limit", "limit=1.5": "limit", "limit=x": "limit", "limit=99999999999999999999": "limit",
		"cursor=x": "cursor", "cursor=%00": "cursor", "cursor=%ff": "cursor", "cursor=" + url.QueryEscape(sql): "cursor",
		"cursor=" + strings.Repeat("A", 4000): "cursor",
	} {
		t.Run(query[:min(len(query), 40)], func(t *testing.T) {
			t.Parallel()
			s.send(t, request{method: http.MethodGet, path: "/order/myorder/?" + query, token: token}).wantProblem(t, http.StatusBadRequest, field)
		})
	}
	for _, id := range []string{"x", url.PathEscape(sql), "%00", "%ff", strings.Repeat("a", 4000), "%F0%9F%8D%95", "..%20", "1%27--"} {
		t.Run("order "+id[:min(len(id), 40)], func(t *testing.T) {
			t.Parallel()
			a := s.send(t, request{method: http.MethodGet, path: "/order/" + id + "/", token: token})
			if a.status != http.StatusNotFound && a.status != http.StatusBadRequest {
				t.Errorf("answer %d %s", a.status, a.body)
			}
		})
	}
	for _, query := range []string{
		"q=%00", "q=%ff", "q=" + url.QueryEscape(sql), "q=%25", "q=" + strings.Repeat("a", 4000), "category=%00&size=%00", "size=" + url.QueryEscape(sql),
		"sort=" + url.QueryEscape(sql), "sort=price;DROP", "q=a&q=b", "%", "q=%zz",
	} {
		t.Run("menu "+query[:min(len(query), 40)], func(t *testing.T) {
			t.Parallel()
			a := s.get(t, "/menu/?"+query)
			if a.status != http.StatusOK && a.status != http.StatusBadRequest {
				t.Errorf("answer %d %s", a.status, a.body)
			}
		})
	}
}
