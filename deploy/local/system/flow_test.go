package system

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"
	_ "time/tzdata" // the shop's zone, on machines without zone files

	"github.com/google/go-cmp/cmp"

	"example.com/pizza/deploy/local/stack"
	"example.com/pizza/migrations"
)

// TestSystem runs against one stack. The flow runs first and alone, so that
// other tests do not affect its counts.
func TestSystem(t *testing.T) {
	t.Parallel()
	s := start(t, stack.Options{})
	t.Run("flow", s.testFlow)
	t.Run("menu", s.testMenu)
	t.Run("routes", s.testRoutes)
	t.Run("input at the limits", s.testLimits)
	t.Run("bad input", s.testBadInput)
	t.Run("smoke", s.testSmoke)
	t.Run("examples of the API page", s.testExamples) // changes the demo member's password
}

type orderRow struct {
	OrderID   string  `json:"order_id"`
	BranchID  string  `json:"bran_id"`
	PizzaID   string  `json:"pizza_id"`
	Quantity  int     `json:"quantity"`
	UnitPrice float64 `json:"unit_price"`
	Date      string  `json:"date"`
	Time      string  `json:"time"`
}

type placedOrder struct {
	OrderID string      `json:"order_id"`
	Message string      `json:"message"`
	Total   float64     `json:"total_price"`
	Lines   []orderLine `json:"lines"`
}

type orderLine struct {
	PizzaID   string  `json:"pizza_id"`
	Quantity  int     `json:"quantity"`
	UnitPrice float64 `json:"unit_price"`
}

// testFlow walks through a customer's whole journey, in order.
func (s *system) testFlow(t *testing.T) {
	branch := s.branch(t)
	var token, other, firstOrder, secondOrder string

	step := func(name string, f func(t *testing.T)) {
		if !t.Failed() { // each step needs the ones before it
			t.Run(name, f)
		}
	}
	step("register with the old field names", func(t *testing.T) {
		a := s.postJSON(t, "/api/login/register/", "", `{"id":"sora","pw":"pw-of-sora","name":"김소라"}`).want(t, http.StatusCreated)
		if got := decode[object](t, a); got["member_id"] != "sora" || got["message"] == "" {
			t.Errorf("answer %s", a.body)
		}
	})
	step("register with the new ones, by form", func(t *testing.T) {
		s.postForm(t, "/login/register", url.Values{"member_id": {"jun"}, "password": {"pw-of-jun"}, "member_nm": {"이준"}}).want(t, http.StatusCreated)
	})
	step("register a taken id", func(t *testing.T) {
		s.postJSON(t, "/login/register/", "", `{"id":"sora","pw":"another-password","name":"x"}`).wantProblem(t, http.StatusConflict)
	})
	step("log in wrongly", func(t *testing.T) {
		wrong := s.postJSON(t, "/login/", "", `{"id":"sora","pw":"pw-of-jun"}`).wantProblem(t, http.StatusUnauthorized)
		unknown := s.postJSON(t, "/login/", "", `{"id":"nobody","pw":"pw-of-jun"}`).wantProblem(t, http.StatusUnauthorized)
		wrong.TraceID, unknown.TraceID = "", ""
		if diff := cmp.Diff(wrong, unknown); diff != "" {
			t.Errorf("a wrong password and an unknown id are answered differently:\n%s", diff)
		}
	})
	step("log in", func(t *testing.T) {
		a := s.postJSON(t, "/api/login/", "", `{"id":"sora","pw":"pw-of-sora"}`).want(t, http.StatusOK)
		got := decode[struct {
			Token     string
			TokenType string `json:"token_type"`
			ExpiresIn int    `json:"expires_in"`
			MemberID  string `json:"member_id"`
			MemberNM  string `json:"member_nm"`
		}](t, a)
		if got.TokenType != "Bearer" || got.MemberID != "sora" || got.MemberNM != "김소라" {
			t.Errorf("answer %s", a.body)
		}
		checkToken(t, got.Token, "sora", got.ExpiresIn)
		token = got.Token
		form := s.postForm(t, "/login/", url.Values{"member_id": {"jun"}, "member_pwd": {"pw-of-jun"}}).want(t, http.StatusOK)
		other = decode[struct{ Token string }](t, form).Token
	})
	step("the demo member logs in", func(t *testing.T) {
		s.login(t, migrations.DemoMember, migrations.DemoPassword)
	})
	step("look up a pizza's id", func(t *testing.T) {
		for _, a := range []answer{
			s.postJSON(t, "/menu/get_pizza_id/", "", `{"pizza_nm":"The Hawaiian Pizza","size":"M"}`),
			s.postForm(t, "/api/menu/get_pizza_id", url.Values{"name": {"The Hawaiian Pizza"}, "size": {"M"}}),
		} {
			if got := decode[object](t, a.want(t, http.StatusOK)); got["pizza_id"] != "hawaiian_m" {
				t.Errorf("answer %s", a.body)
			}
		}
		s.postJSON(t, "/menu/get_pizza_id/", "", `{"pizza_nm":"The Pineapple Crime","size":"M"}`).wantProblem(t, http.StatusNotFound)
		s.postJSON(t, "/menu/get_pizza_id/", "", `{"pizza_nm":"The Hawaiian Pizza","size":"XXL"}`).wantProblem(t, http.StatusNotFound)
	})
	step("no orders yet", func(t *testing.T) {
		a := s.send(t, request{method: http.MethodGet, path: "/order/myorder/", token: token}).want(t, http.StatusOK)
		if strings.TrimSpace(string(a.body)) != "[]" {
			t.Errorf("answer %s, want []", a.body)
		}
	})
	step("order with the old field names", func(t *testing.T) {
		a := s.postJSON(t, "/api/order/", token, js(t, object{
			"branchId": branch, "order_id": "MINE", "date": "1999-01-01", "time": "00:00:00",
			"lines": []object{
				{"name": "The Barbecue Chicken Pizza", "size": "L", "quantity": 2},
				{"name": "The Hawaiian Pizza", "size": "S", "quantity": 1},
			},
		})).want(t, http.StatusCreated)
		got := decode[placedOrder](t, a)
		firstOrder = got.OrderID
		want := placedOrder{OrderID: got.OrderID, Message: got.Message, Total: 52, Lines: []orderLine{
			{"bbq_ckn_l", 2, 20.75}, {"hawaiian_s", 1, 10.5},
		}}
		if diff := cmp.Diff(want, got); diff != "" || got.OrderID == "" || got.OrderID == "MINE" || got.Message == "" {
			t.Errorf("answer %s (-want +got):\n%s", a.body, diff)
		}
	})
	step("order with the new ones, and with the total that was shown", func(t *testing.T) {
		body := object{
			"bran_id": branch, "expected_total": 33.25,
			"items": []object{
				{"pizza_id": "hawaiian_m", "quantity": 1},
				{"pizza_nm": "The Big Meat Pizza", "size": "S", "quantity": 1},
				{"pizza_id": "hawaiian_m", "quantity": 8},
			},
		}
		s.postJSON(t, "/order", token, js(t, body)).wantProblem(t, http.StatusConflict)
		body["expected_total"] = 131.25 // 9 x 13.25 and 12.00
		got := decode[placedOrder](t, s.postJSON(t, "/order", token, js(t, body)).want(t, http.StatusCreated))
		secondOrder = got.OrderID
		want := []orderLine{{"hawaiian_m", 1, 13.25}, {"big_meat_s", 1, 12}, {"hawaiian_m", 8, 13.25}}
		if diff := cmp.Diff(want, got.Lines); diff != "" || got.Total != 131.25 {
			t.Errorf("total %v, lines (-want +got):\n%s", got.Total, diff)
		}
	})
	step("my orders, newest first", func(t *testing.T) {
		a := s.send(t, request{method: http.MethodGet, path: "/api/order/myorder/", token: token}).want(t, http.StatusOK)
		got := decode[[]orderRow](t, a)
		var ids []string
		for _, row := range got {
			ids = append(ids, row.OrderID)
			checkShopTime(t, row.Date+" "+row.Time)
		}
		if diff := cmp.Diff([]string{secondOrder, secondOrder, secondOrder, firstOrder, firstOrder}, ids); diff != "" {
			t.Errorf("orders (-want +got):\n%s", diff)
		}
		last := got[len(got)-2]
		want := orderRow{firstOrder, branch, "bbq_ckn_l", 2, 20.75, last.Date, last.Time}
		if diff := cmp.Diff(want, last); diff != "" {
			t.Errorf("row (-want +got):\n%s", diff)
		}
	})
	step("my orders, page by page", func(t *testing.T) {
		var ids []string
		path := "/order/myorder/?limit=1"
		for path != "" {
			a := s.send(t, request{method: http.MethodGet, path: path, token: token}).want(t, http.StatusOK)
			ids = append(ids, decode[[]orderRow](t, a)[0].OrderID)
			path = ""
			if m := regexp.MustCompile(`^<([^>]+)>; rel="next"$`).FindStringSubmatch(a.header.Get("Link")); m != nil {
				path = m[1]
			}
		}
		if diff := cmp.Diff([]string{secondOrder, firstOrder}, ids); diff != "" {
			t.Errorf("orders (-want +got):\n%s", diff)
		}
	})
	step("one order", func(t *testing.T) {
		a := s.send(t, request{method: http.MethodGet, path: "/order/" + firstOrder + "/", token: token}).want(t, http.StatusOK)
		got := decode[placedOrder](t, a)
		if got.OrderID != firstOrder || got.Total != 52 || len(got.Lines) != 2 {
			t.Errorf("answer %s", a.body)
		}
	})
	step("another member sees nothing of it", func(t *testing.T) {
		a := s.send(t, request{method: http.MethodGet, path: "/order/myorder/", token: other}).want(t, http.StatusOK)
		if strings.TrimSpace(string(a.body)) != "[]" {
			t.Errorf("answer %s, want []", a.body)
		}
		s.send(t, request{method: http.MethodGet, path: "/order/" + firstOrder + "/", token: other}).wantProblem(t, http.StatusNotFound)
	})
	step("nobody orders or looks without a token", func(t *testing.T) {
		body := js(t, object{"branchId": branch, "lines": []object{{"pizza_id": "hawaiian_m", "quantity": 1}}})
		for _, wrong := range []string{"", "x", "a.b.c", token + "x", forge(t, token, `{"alg":"none","typ":"JWT"}`)} {
			s.postJSON(t, "/order/", wrong, body).wantProblem(t, http.StatusUnauthorized)
			s.send(t, request{method: http.MethodGet, path: "/order/myorder/", token: wrong}).wantProblem(t, http.StatusUnauthorized)
		}
		spoof := request{method: http.MethodGet, path: "/order/myorder/", header: map[string]string{"X-User-Id": "sora"}}
		s.send(t, spoof).wantProblem(t, http.StatusUnauthorized)
	})
	step("the token is known inside", func(t *testing.T) {
		a := s.verify(t, token)
		if got := decode[object](t, a.want(t, http.StatusOK)); got["valid"] != true || got["member_id"] != "sora" {
			t.Errorf("answer %s", a.body)
		}
	})
	step("log out", func(t *testing.T) {
		for _, bearer := range []string{token, token, "", "no-token"} { // also a second time, and without a valid token
			a := s.send(t, request{method: http.MethodGet, path: "/login/logout/", token: bearer}).want(t, http.StatusOK)
			if got := decode[object](t, a); got["status"] != "logged out" {
				t.Errorf("answer %s", a.body)
			}
		}
	})
	step("the token is refused everywhere at once", func(t *testing.T) {
		s.send(t, request{method: http.MethodGet, path: "/order/myorder/", token: token}).wantProblem(t, http.StatusUnauthorized)
		s.postJSON(t, "/order/", token, js(t, object{"branchId": branch, "lines": []object{{"pizza_id": "hawaiian_m", "quantity": 1}}})).
			wantProblem(t, http.StatusUnauthorized)
		if got := decode[object](t, s.verify(t, token).want(t, http.StatusUnauthorized)); got["valid"] != false || got["reason"] != "revoked" {
			t.Errorf("inside: %v, want revoked", got)
		}
		s.send(t, request{method: http.MethodGet, path: "/order/myorder/", token: other}).want(t, http.StatusOK)
	})
	step("change the password, and only the new session goes on", func(t *testing.T) {
		again := s.login(t, "sora", "pw-of-sora")
		a := s.postJSON(t, "/login/password/", again, js(t, object{"old_pw": "pw-of-sora", "new_pw": "new-pw-of-sora"}))
		fresh := decode[struct{ Token string }](t, a.want(t, http.StatusOK)).Token
		s.send(t, request{method: http.MethodGet, path: "/order/myorder/", token: again}).wantProblem(t, http.StatusUnauthorized)
		if got := decode[object](t, s.verify(t, again).want(t, http.StatusUnauthorized)); got["reason"] != "revoked" {
			t.Errorf("inside: %v, want revoked", got)
		}
		s.send(t, request{method: http.MethodGet, path: "/order/myorder/", token: fresh}).want(t, http.StatusOK)
		s.send(t, request{method: http.MethodGet, path: "/order/myorder/", token: other}).want(t, http.StatusOK)
	})
	step("log in again, and the orders are there", func(t *testing.T) {
		again := s.login(t, "sora", "new-pw-of-sora")
		rows := decode[[]orderRow](t, s.send(t, request{method: http.MethodGet, path: "/order/myorder/", token: again}).want(t, http.StatusOK))
		if len(rows) != 5 {
			t.Errorf("%d rows, want 5", len(rows))
		}
	})
}

// verify verifies a token on the login service's internal port.
func (s *system) verify(t *testing.T, token string) answer {
	t.Helper()
	return s.sendTo(t, "http://"+s.Service("login").Internal, request{
		method: http.MethodPost, path: "/int/auth/verify", media: mediaJSON, body: js(t, object{"token": token}),
	})
}

func (s *system) testMenu(t *testing.T) {
	t.Run("96 pizzas", func(t *testing.T) {
		a := s.get(t, "/menu/").want(t, http.StatusOK)
		pizzas := decode[[]object](t, a)
		if len(pizzas) != 96 {
			t.Errorf("%d pizzas, want 96", len(pizzas))
		}
		want := object{
			"pizza_id": "bbq_ckn_l", "pizza_type_id": "bbq_ckn", "pizza_nm": "The Barbecue Chicken Pizza",
			"pizza_type__pizza_nm": "The Barbecue Chicken Pizza", "pizza_categ": "Chicken", "pizza_img_url": "images/bbq_ckn.png",
			"size": "L", "price": 20.75,
		}
		for _, p := range pizzas {
			if p["pizza_id"] == want["pizza_id"] {
				if diff := cmp.Diff(want, p); diff != "" {
					t.Errorf("bbq_ckn_l (-want +got):\n%s", diff)
				}
				return
			}
		}
		t.Error("bbq_ckn_l is not there")
	})
	t.Run("32 types", func(t *testing.T) {
		a := s.get(t, "/api/menu/types").want(t, http.StatusOK)
		if types := decode[[]object](t, a); len(types) != 32 {
			t.Errorf("%d types, want 32", len(types))
		}
	})
	t.Run("not sent again when it has not changed", func(t *testing.T) {
		for _, path := range []string{"/menu/", "/menu/types/"} {
			tag := s.get(t, path).want(t, http.StatusOK).header.Get("ETag")
			a := s.send(t, request{method: http.MethodGet, path: path, header: map[string]string{"If-None-Match": tag}})
			if a.want(t, http.StatusNotModified); tag == "" || len(a.body) > 0 {
				t.Errorf("%s: ETag %q, 304 with %d bytes", path, tag, len(a.body))
			}
		}
	})
	t.Run("filtered", func(t *testing.T) {
		a := s.get(t, "/menu/?category=Chicken&size=L").want(t, http.StatusOK)
		pizzas := decode[[]object](t, a)
		for _, p := range pizzas {
			if p["pizza_categ"] != "Chicken" || p["size"] != "L" {
				t.Errorf("%v does not belong here", p)
			}
		}
		if len(pizzas) != 6 {
			t.Errorf("%d pizzas, want 6", len(pizzas))
		}
		if none := s.get(t, "/menu/?q=no-such-pizza").want(t, http.StatusOK); strings.TrimSpace(string(none.body)) != "[]" {
			t.Errorf("answer %s, want []", none.body)
		}
	})
}

// checkToken checks a JSON Web Token (RFC 7519) against the contract.
func checkToken(t *testing.T, token, memberID string, expiresIn int) {
	t.Helper()
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		t.Fatalf("token %q has %d parts", token, len(parts))
	}
	var header struct{ Alg, Kid string }
	var claims struct {
		MemberID string `json:"member_id"`
		Iat, Exp int64
		Jti      string
	}
	for i, v := range []any{&header, &claims} {
		b, err := base64.RawURLEncoding.DecodeString(parts[i])
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(b, v); err != nil {
			t.Fatal(err)
		}
	}
	if header.Alg != "HS256" || header.Kid == "" {
		t.Errorf("header %+v, want HS256 and a key id", header)
	}
	if claims.MemberID != memberID || claims.Jti == "" || claims.Exp-claims.Iat != 3600 || expiresIn != 3600 {
		t.Errorf("claims %+v, expires_in %d", claims, expiresIn)
	}
}

// forge returns the token with another header and no signature.
func forge(t *testing.T, token, header string) string {
	t.Helper()
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		t.Fatalf("token %q has %d parts", token, len(parts))
	}
	return base64.RawURLEncoding.EncodeToString([]byte(header)) + "." + parts[1] + "."
}

// checkShopTime checks the format, and that the time is the shop's and not UTC,
// which differs by nine hours.
func checkShopTime(t *testing.T, text string) {
	t.Helper()
	seoul, err := time.LoadLocation("Asia/Seoul")
	if err != nil {
		t.Fatal(err)
	}
	at, err := time.ParseInLocation(time.DateTime, text, seoul)
	if err != nil {
		t.Fatal(err)
	}
	if age := time.Since(at); age < -time.Hour || age > time.Hour {
		t.Errorf("the order's time is %s, %s ago", text, age)
	}
}
