// Package monolith is a stand-in for the old system: a Django monolith that serves login, menu
// and order by its own SQL, on the database that the services take over.
package monolith

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// ServedBy is a header of each answer, by which a client behind a load balancer knows the
// old system.
const ServedBy = "X-Served-By"

// StandIn does what the views of the old system do, with its SQL: numbers by MAX + 1, no
// prices, dates as text, passwords in Django's format or in clear text, and tokens without
// an id. It knows no Idempotency-Key.
type StandIn struct {
	DB     *pgxpool.Pool
	Secret []byte // signs the tokens
	// NumericIDs is set where the ids of orders are numbers.
	NumericIDs bool
	// worker: the old system has one, so that MAX + 1 meets no other one of its own.
	worker     sync.Mutex
	registered atomic.Int64
	mu         sync.Mutex
	answered   map[string]int
}

// Handler serves the paths of the old system, with and without /api.
func (m *StandIn) Handler() http.Handler {
	mux := http.NewServeMux()
	for pattern, view := range map[string]func(*http.Request) (int, any, error){
		"POST /login/register/":    m.register,
		"POST /login/{$}":          m.login,
		"GET /menu/{$}":            m.menu,
		"GET /menu/types/":         m.types,
		"POST /menu/get_pizza_id/": m.pizzaID,
		"GET /order/branch/":       m.branches,
		"GET /order/myorder/":      m.myOrders,
		"POST /order/{$}":          m.order,
	} {
		serve := func(w http.ResponseWriter, r *http.Request) {
			status, body, err := view(r)
			if err != nil {
				status, body = http.StatusInternalServerError, map[string]string{"error": err.Error()}
			}
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(status)
			_ = json.NewEncoder(w).Encode(body)
		}
		mux.HandleFunc(pattern, serve)
		mux.HandleFunc(strings.Replace(pattern, " ", " /api", 1), serve)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		path, _, _ := strings.Cut(strings.TrimPrefix(strings.TrimPrefix(r.URL.Path, "/api"), "/"), "/")
		m.count(path)
		w.Header().Set(ServedBy, "monolith")
		mux.ServeHTTP(w, r)
	})
}

func (m *StandIn) count(path string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.answered == nil {
		m.answered = map[string]int{}
	}
	m.answered[path]++
}

// Answered returns how many requests were answered, by the first part of their path after /api.
func (m *StandIn) Answered() map[string]int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return maps.Clone(m.answered)
}

// read reads JSON or a form, like Django REST Framework.
func read(r *http.Request, into any) error {
	if !strings.HasPrefix(r.Header.Get("Content-Type"), "application/x-www-form-urlencoded") {
		return json.NewDecoder(r.Body).Decode(into)
	}
	if err := r.ParseForm(); err != nil {
		return err
	}
	fields := map[string]string{}
	for name := range r.PostForm {
		fields[name] = r.PostForm.Get(name)
	}
	text, err := json.Marshal(fields)
	return errors.Join(err, json.Unmarshal(text, into))
}

type credentials struct {
	ID       string `json:"id"`
	Password string `json:"pw"`
	Name     string `json:"name"`
}

// register stores every other password in clear text, as the old system did before it had hashes.
func (m *StandIn) register(r *http.Request) (int, any, error) {
	var c credentials
	if err := read(r, &c); err != nil {
		return 0, nil, err
	}
	stored := c.Password
	if m.registered.Add(1)%2 == 0 {
		var err error
		if stored, err = hash(c.Password); err != nil {
			return 0, nil, err
		}
	}
	const insert = "INSERT INTO member (member_id, member_pwd, member_nm) VALUES ($1, $2, $3)"
	_, err := m.DB.Exec(r.Context(), insert, c.ID, stored, c.Name)
	return http.StatusCreated, map[string]string{"member_id": c.ID}, err
}

func (m *StandIn) login(r *http.Request) (int, any, error) {
	var c credentials
	if err := read(r, &c); err != nil {
		return 0, nil, err
	}
	var stored string
	err := m.DB.QueryRow(r.Context(), "SELECT member_pwd FROM member WHERE member_id = $1", c.ID).Scan(&stored)
	if errors.Is(err, pgx.ErrNoRows) || err == nil && !matches(stored, c.Password) {
		return http.StatusUnauthorized, nil, nil
	}
	now := time.Now().Unix()
	claims := jwt.MapClaims{"member_id": c.ID, "iat": now, "exp": now + 3600}
	token, signing := jwt.NewWithClaims(jwt.SigningMethodHS256, claims).SignedString(m.Secret)
	return http.StatusOK, map[string]string{"token": token}, errors.Join(err, signing)
}

// member returns the member of a token, of either side.
func (m *StandIn) member(r *http.Request) (string, error) {
	var claims struct {
		jwt.RegisteredClaims
		Member string `json:"member_id"`
	}
	raw := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
	_, err := jwt.ParseWithClaims(raw, &claims, func(*jwt.Token) (any, error) { return m.Secret, nil })
	return claims.Member, err
}

const listMenu = `SELECT pizza_id, pizza_type_id, pizza_nm, pizza_nm AS pizza_type__pizza_nm, pizza_categ,
	pizza_img_url, size, price
	FROM pizza JOIN pizza_types USING (pizza_type_id)
	ORDER BY pizza_type_id, array_position(ARRAY['S', 'M', 'L', 'XL', 'XXL'], size::text), pizza_id`

func (m *StandIn) menu(r *http.Request) (int, any, error) { return m.list(r, listMenu) }

func (m *StandIn) types(r *http.Request) (int, any, error) {
	return m.list(r, "SELECT pizza_type_id, pizza_nm, pizza_categ, pizza_img_url FROM pizza_types ORDER BY pizza_type_id")
}

func (m *StandIn) branches(r *http.Request) (int, any, error) {
	return m.list(r, "SELECT bran_id, bran_nm FROM branch ORDER BY bran_id")
}

func (m *StandIn) list(r *http.Request, sql string, args ...any) (int, any, error) {
	rows, err := m.DB.Query(r.Context(), sql, args...)
	if err != nil {
		return 0, nil, err
	}
	list, err := pgx.CollectRows(rows, pgx.RowToMap)
	return http.StatusOK, list, err
}

const findPizza = `SELECT pizza_id FROM pizza JOIN pizza_types USING (pizza_type_id)
	WHERE pizza_nm = $1 AND size = $2 ORDER BY pizza_type_id LIMIT 1`

func (m *StandIn) pizzaID(r *http.Request) (int, any, error) {
	var l line
	if err := read(r, &l); err != nil {
		return 0, nil, err
	}
	var id string
	err := m.DB.QueryRow(r.Context(), findPizza, l.Name, l.Size).Scan(&id)
	return http.StatusOK, map[string]string{"pizza_id": id}, err
}

func (m *StandIn) myOrders(r *http.Request) (int, any, error) {
	member, err := m.member(r)
	if err != nil {
		return http.StatusUnauthorized, nil, nil //nolint:nilerr // the answer says so
	}
	return m.list(r, `SELECT o.order_id::text AS order_id, bran_id, pizza_id, quantity, date, time
		FROM orders o JOIN order_detail d ON d.order_id = o.order_id WHERE member_id = $1
		ORDER BY date DESC, time DESC, order_id DESC, order_detail_id`, member)
}

// line is one of an order, as clients send it: the id of its pizza, or name and size.
type line struct {
	ID       string `json:"pizza_id"`
	Name     string `json:"name"`
	Size     string `json:"size"`
	Quantity int    `json:"quantity"`
}

func (m *StandIn) order(r *http.Request) (int, any, error) {
	ctx := r.Context()
	member, err := m.member(r)
	if err != nil {
		return http.StatusUnauthorized, nil, nil
	}
	var o struct {
		Branch string `json:"branchId"`
		Lines  []line `json:"lines"`
	}
	if err := read(r, &o); err != nil {
		return 0, nil, err
	}
	m.worker.Lock()
	defer m.worker.Unlock()
	var id string
	err = pgx.BeginFunc(ctx, m.DB, func(tx pgx.Tx) error {
		if id, err = m.insert(ctx, tx, member, o.Branch); err != nil {
			return err
		}
		for _, l := range o.Lines {
			if l.ID == "" {
				if err := tx.QueryRow(ctx, findPizza, l.Name, l.Size).Scan(&l.ID); err != nil {
					return err
				}
			}
			if _, err := tx.Exec(ctx, `INSERT INTO order_detail (order_detail_id, order_id, pizza_id, quantity)
				SELECT max(order_detail_id) + 1, $1, $2, $3 FROM order_detail`, id, l.ID, l.Quantity); err != nil {
				return err
			}
		}
		return nil
	})
	return http.StatusCreated, map[string]string{"order_id": id}, err
}

// insert adds the row of an order, and returns its id.
func (m *StandIn) insert(ctx context.Context, tx pgx.Tx, member, branch string) (id string, err error) {
	now := time.Now().In(time.FixedZone("KST", 9*3600))
	id = fmt.Sprint(now.UnixNano())
	if m.NumericIDs {
		if err := tx.QueryRow(ctx, "SELECT (max(order_id) + 1)::text FROM orders").Scan(&id); err != nil {
			return "", err
		}
	}
	_, err = tx.Exec(ctx, "INSERT INTO orders (order_id, member_id, bran_id, date, time) VALUES ($1, $2, $3, $4, $5)",
		id, member, branch, now.Format(time.DateOnly), now.Format(time.TimeOnly))
	return id, err
}
